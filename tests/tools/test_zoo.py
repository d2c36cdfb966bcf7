"""The configs of this repository: what they say, and that each trains, resumes and is tested."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mmst.checkpoints import load_checkpoint
from mmst.config.file import load_config
from mmst.config.mini import layout_of
from mmst.mini import make_mini_data

CONFIGS = Path(__file__).parents[2] / 'configs'
DETECTORS = ('faster_rcnn', 'cascade_rcnn', 'fcos', 'atss', 'mask_rcnn', 'panoptic_fpn')
OTHERS = ('fpn_cityscapes', 'simple_baseline_pose')
PLAIN = [f'{name}_r50' for name in (*DETECTORS, *OTHERS)]
SGD = [f'{name}_r50_sgd' for name in DETECTORS]

# The paper's Tables VI to XIII: learning rate and weight decay per optimiser.
DETECTION = {
    'AdamW': {'type': 'AdamW', 'lr': 1e-4, 'weight_decay': 0.1},
    'SGD': {'type': 'SGD', 'lr': 0.02, 'momentum': 0.9, 'weight_decay': 1e-4},
}
OPTIMIZERS = {
    **{name: DETECTION['AdamW'] for name in PLAIN[:6]},
    **{name: DETECTION['SGD'] for name in SGD},
    'fpn_cityscapes_r50': {'type': 'AdamW', 'lr': 5e-4, 'weight_decay': 0.05},
    'simple_baseline_pose_r50': {'type': 'Adam', 'lr': 5e-4},
}
LENGTHS = {
    'fpn_cityscapes_r50': {'max_iters': 80000},
    'simple_baseline_pose_r50': {'max_epochs': 210},
}

METRICS = {
    'faster_rcnn_r50': {'coco/bbox_mAP'},
    'mask_rcnn_r50': {'coco/bbox_mAP', 'coco/segm_mAP'},
    'panoptic_fpn_r50': {'coco_panoptic/PQ', 'coco_panoptic/SQ', 'coco_panoptic/RQ'},
    'fpn_cityscapes_r50': {'mIoU', 'mAcc'},
    'simple_baseline_pose_r50': {'coco/AP', 'coco/AR'},
}


def stimulated(name):
    return name.replace('_r50', '_r50_st')


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_every_config_is_covered():
    expected = {*PLAIN, *SGD, *map(stimulated, PLAIN), *map(stimulated, SGD)}
    assert {path.stem for path in CONFIGS.glob('*.py')} == expected


@pytest.mark.parametrize('name', [*PLAIN, *SGD])
def test_recipe_is_the_papers(name):
    cfg = load(name)
    optimizer = dict(cfg.optim_wrapper.optimizer)
    optimizer.pop('_scope_', None)
    assert optimizer == OPTIMIZERS[name]
    for key, value in LENGTHS.get(name, {'max_epochs': 12}).items():
        assert cfg.train_cfg[key] == value
    assert cfg.model.backbone.type == 'ResNet'
    assert cfg.model.backbone.get('style', 'pytorch') == 'pytorch'
    assert cfg.model.backbone.init_cfg.checkpoint == 'torchvision://resnet50'
    assert 'stimulative' not in cfg.default_hooks


def upstream_of(name):
    """The upstream config that a config is based on, in the end."""
    base = re.search(r"^_base_ = '(.+)'$", (CONFIGS / f'{name}.py').read_text(), re.MULTILINE)[1]
    return upstream_of(Path(base).stem) if base.startswith('.') else get_config(base)


def leaves(node, prefix=''):
    """Settings of a config by their dotted names; lists are settings."""
    if not isinstance(node, dict):
        return {prefix: node}
    children = (leaves(v, f'{prefix}.{k}') for k, v in node.items() if k != '_scope_')
    return {name: value for child in children for name, value in child.items()}


def without_scopes(node):
    if isinstance(node, dict):
        return {k: without_scopes(v) for k, v in node.items() if k != '_scope_'}
    return [without_scopes(v) for v in node] if isinstance(node, (list, tuple)) else node


WEIGHTS = '.model.backbone.init_cfg'
CHANGES = {
    'fcos': (
        '.model.data_preprocessor',
        '.model.backbone.style',
        '.model.backbone.norm_cfg',
        WEIGHTS,
    ),
    'fpn_cityscapes': ('.model.pretrained', '.model.backbone.type', WEIGHTS),
}


@pytest.mark.parametrize('name', [*PLAIN, *SGD])
def test_everything_else_is_upstreams(name):
    ours, theirs = (leaves(without_scopes(c.to_dict())) for c in (load(name), upstream_of(name)))
    allowed = (
        '.optim_wrapper.optimizer',
        '.custom_imports',
        *CHANGES.get(name.split('_r50')[0], ()),
    )
    changed = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
    assert '.custom_imports.imports' in changed
    assert not {key for key in changed if not key.startswith(allowed)}


@pytest.mark.parametrize('name', [*PLAIN, *SGD])
def test_stimulative_config_differs_in_nothing_else(name):
    plain, cfg = load(name), load(stimulated(name))
    hook = cfg.default_hooks.pop('stimulative')
    assert hook == cfg.pop('st_star_hook')
    assert (hook.num_subnets, hook.weight, hook.inputs.min_ratio) == (1, 1.0, 0.43)
    assert hook.supervision.type == 'mmst.GroundTruthSupervision'
    assert cfg.model.backbone.pop('choices') == (1, 2, 4, 1)
    assert cfg.model.backbone.type == 'mmst.STBackbone'
    cfg.model.backbone.type = cfg.model.backbone.pop('wraps')
    if 'pose' in name:
        pipeline = cfg.train_dataloader.dataset.pipeline
        for transform in pipeline:
            transform.pop('_scope_', None)
        assert pipeline[-1].pop('pack_transformed') is True
    assert cfg.to_dict() == plain.to_dict()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Mini data in the layout of a config, drawn once for each layout."""
    folder = tmp_path_factory.mktemp('mini')

    def draw(config):
        layout = layout_of(load_config(str(config)))
        root = folder / layout
        return root if root.exists() else make_mini_data(layout, root, num_train=6, num_val=2)

    return draw


@pytest.fixture
def logged():
    """Lines that a run has logged."""
    return lambda work_dir: [
        json.loads(line)
        for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in log.read_text().splitlines()
    ]


def quick_first(names, quick):
    """A few configs in the quick tests, the others in ``-m slow``."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    'name',
    quick_first(
        [*PLAIN, *SGD, *map(stimulated, PLAIN), *map(stimulated, SGD)],
        ['faster_rcnn_r50_st'],
    ),
)
def test_config_trains_and_validates_on_mini_data(run_tool, data, logged, tmp_path, name):
    config, work_dir = CONFIGS / f'{name}.py', tmp_path / 'run'
    common = ('--mini', '--data-root', data(config), '--work-dir', work_dir, '--seed', 0)
    light = ['--cfg-options', 'default_hooks.checkpoint.save_optimizer=False']
    if 'rcnn' in name:  # without any box there would be no metric
        light.append('model.test_cfg.rcnn.score_thr=0.0')
    run_tool('train', config, *common, '--max-iters', 2, *light)
    checkpoint = load_checkpoint(work_dir / 'iter_2.pth')
    assert all(torch.isfinite(value).all() for value in checkpoint['state_dict'].values())
    lines = logged(work_dir)
    iterations = [line for line in lines if 'loss' in line]
    assert [line['iter'] for line in iterations] == [1, 2]
    assert all(('subnet/loss' in line) == ('_st' in name) for line in iterations)
    metrics = METRICS.get(name.replace('_st', '').replace('_sgd', ''), METRICS['faster_rcnn_r50'])
    assert metrics <= set(lines[-1])


@pytest.mark.slow
@pytest.mark.parametrize('name', map(stimulated, METRICS))
def test_config_resumes_and_its_subnets_are_tested(run_tool, data, logged, tmp_path, name):
    config, work_dir = CONFIGS / f'{name}.py', tmp_path / 'run'
    common = ('--mini', '--data-root', data(config), '--work-dir', work_dir)
    train = ('train', config, *common, '--seed', 0, '--no-validate')
    run_tool(*train, '--max-iters', 1)
    run_tool(*train, '--max-iters', 2, '--resume')
    assert [line['iter'] for line in logged(work_dir) if 'loss' in line] == [1, 2]

    out = tmp_path / 'metrics.json'
    options = ('--depths', '3,3,4,3', '--recalibrate', 1, '--out', out)
    run_tool('test', config, work_dir / 'iter_2.pth', *common, *options)
    assert out.is_file()


def test_detection_needs_no_other_task_library(data, tmp_path):
    without = 'sys.modules.update(mmseg=None, mmpose=None, mmpretrain=None)'
    code = f"import runpy, sys; {without}; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    config, tool = CONFIGS / 'faster_rcnn_r50_st.py', CONFIGS.parent / 'tools' / 'train.py'
    options = ['--mini', '--data-root', data(config), '--work-dir', tmp_path, '--max-iters', '1']
    command = [sys.executable, '-c', code, tool, config, *options, '--no-validate']
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / 'iter_1.pth').is_file()
