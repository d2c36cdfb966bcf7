"""Upstream configs with --stimulate do what docs/tasks/other_models.md says.

One of each class of backbones for which there is a mini data set, and more heads.
"""

import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmst.config.file import load_config
from mmst.config.mini import layout_of
from mmst.mini import make_mini_data

PAGE = Path(__file__).parents[2] / 'docs' / 'tasks' / 'other_models.md'
ROWS = re.findall(r'^\| `(\w+::[^`]+)` \| ([\w.]+) \| (.+) \|$', PAGE.read_text(), re.MULTILINE)

ERRORS = {
    'pairwise_masks': "got the field 'gt_instances.pairwise_masks'",
    'several batches': 'must be trained on one batch of images at a time',
    'residual stages': 'must have blocks that can be skipped',
}


@pytest.fixture(scope='module')
def mini(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini')

    def draw(config):
        layout = layout_of(config)
        root = folder / layout
        return root if root.exists() else make_mini_data(layout, root, num_train=8, num_val=2)

    return draw


def test_page_has_its_rows():
    assert len(ROWS) > 25
    assert all(outcome.startswith(('trains', 'error: ')) for _, _, outcome in ROWS)


@pytest.mark.slow
@pytest.mark.parametrize(('upstream', 'wraps', 'outcome'), ROWS, ids=[row[0] for row in ROWS])
def test_other_models(run_tool, mini, tmp_path, upstream, wraps, outcome):
    config = load_config(upstream)
    assert config.model.backbone.type == wraps
    options = ('--stimulate', '--mini', '--weights', 'none', '--max-iters', 2, '--no-validate')
    changes = re.findall(r'`(model\.[^`]+)`', outcome)
    changes.append('default_hooks.checkpoint.save_optimizer=False')
    work_dir = tmp_path / 'run'

    def train():
        data = ('--data-root', mini(config), '--work-dir', work_dir)
        run_tool('train', upstream, *options, '--seed', 0, *data, '--cfg-options', *changes)

    if outcome.startswith('error'):
        message = next(text for word, text in ERRORS.items() if word in outcome)
        with pytest.raises((TypeError, ValueError, SystemExit), match=message):
            train()
        return
    train()
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line['iter'] for line in lines if 'subnet/loss' in line] == [1, 2]
    assert lines[1]['subnet/loss'] > 0  # heads that start with zeros have equal logits at first
    (run,) = work_dir.glob('*.py')
    inputs = Config.fromfile(run).default_hooks.stimulative.inputs
    divisor = re.search(r'`size_divisor=(\d+)`', outcome)
    assert (inputs is None) == ('`inputs=None`' in outcome)
    assert ((inputs or {}).get('canvas') == 'keep') == ("`canvas='keep'`" in outcome)
    assert int(divisor[1] if divisor else 1) == (inputs or {}).get('size_divisor', 1)
