"""Models beside the zoo's do what docs/tasks/other_models.md says."""

import json
import re
from pathlib import Path

import pytest
from mmengine.hub import get_config

from mmst.config import layout_of, load_config
from mmst.mini import make_mini_data

PAGE = Path(__file__).parents[2] / 'docs' / 'tasks' / 'other_models.md'
ROWS = re.findall(r'^\| `(\w+::[^`]+)` \| ([\w.]+) \| (.+) \|$', PAGE.read_text(), re.MULTILINE)

CONFIG = """
_base_ = '{upstream}'
custom_imports = dict(imports={imports}, allow_failed_imports=False)
model = dict({changes}backbone=dict(type='mmst.STBackbone', wraps='{wraps}'))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs={inputs}))
"""
POSE = """
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_dataloader.dataset.pipeline[:-1],
            dict(type='PackPoseInputs', pack_transformed=True)]))
"""
ERRORS = {
    'pairwise_masks': "got the field 'gt_instances.pairwise_masks'",
    'residual stages': 'must have blocks that can be skipped',
    'one input size': 'layers fit the feature map of one input size',
}


def write_config(folder, upstream, wraps, outcome):
    base = get_config(upstream)
    assert base.model.backbone.type == wraps
    imports = ['mmst', *(base.get('custom_imports') or {}).get('imports', [])]
    queries = re.search(r'`(num_queries=\d+)`', outcome)
    changes = f'{queries[1]}, ' if queries else ''
    divisor = re.search(r'`(size_divisor=\d+)`', outcome)
    inputs = (
        f"dict(type='mmst.RandomSmallerInput', min_ratio=0.43, {divisor[1] if divisor else ''})"
    )
    if outcome.startswith('trains') and '`inputs=None`' in outcome:
        inputs = 'None'
    config = folder / 'config.py'
    text = CONFIG.format(
        upstream=upstream, imports=imports, changes=changes, wraps=wraps, inputs=inputs
    )
    config.write_text(text + POSE * upstream.startswith('mmpose'))
    return config


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini')

    def draw(config):
        layout = layout_of(load_config(str(config)))
        root = folder / layout
        return root if root.exists() else make_mini_data(layout, root, num_train=8, num_val=2)

    return draw


def test_page_has_its_rows():
    assert len(ROWS) > 25
    assert all(outcome.startswith(('trains', 'error: ')) for _, _, outcome in ROWS)


@pytest.mark.slow
@pytest.mark.parametrize(('upstream', 'wraps', 'outcome'), ROWS, ids=[row[0] for row in ROWS])
def test_other_models(run_tool, mini, tmp_path, upstream, wraps, outcome):
    config = write_config(tmp_path, upstream, wraps, outcome)
    options = ('--mini', '--weights', 'none', '--max-iters', 2, '--no-validate', '--seed', 0)
    light = ('--cfg-options', 'default_hooks.checkpoint.save_optimizer=False')
    work_dir = tmp_path / 'run'

    def train():
        data = ('--data-root', mini(config), '--work-dir', work_dir)
        run_tool('train', config, *options, *data, *light)

    if outcome.startswith('error'):
        message = next(text for word, text in ERRORS.items() if word in outcome)
        with pytest.raises((TypeError, ValueError), match=message):
            train()
        return
    train()
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line['iter'] for line in lines if line['subnet/loss'] > 0] == [1, 2]
