"""The configs of this repository: what they say, and that each trains, resumes and is tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmst.checkpoints import load_checkpoint
from mmst.mini import make_mini_data

CONFIGS = Path(__file__).parents[2] / 'configs'
FASTER_RCNN = [
    ('faster_rcnn_r50', 'AdamW', False),
    ('faster_rcnn_r50_st', 'AdamW', True),
    ('faster_rcnn_r50_sgd', 'SGD', False),
    ('faster_rcnn_r50_st_sgd', 'SGD', True),
]
# ST++ Tables VI and VII.
OPTIMIZERS = {
    'AdamW': {'type': 'AdamW', 'lr': 1e-4, 'weight_decay': 0.1},
    'SGD': {'type': 'SGD', 'lr': 0.02, 'momentum': 0.9, 'weight_decay': 1e-4},
}


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_every_config_is_covered():
    assert {path.stem for path in CONFIGS.glob('*.py')} == {name for name, *_ in FASTER_RCNN}


@pytest.mark.parametrize(('name', 'optimizer', 'stimulative'), FASTER_RCNN)
def test_recipe_is_the_papers(name, optimizer, stimulative):
    cfg = load(name)
    assert cfg.optim_wrapper.optimizer == OPTIMIZERS[optimizer]
    assert cfg.train_cfg.max_epochs == 12
    assert (cfg.model.backbone.type == 'mmst.STBackbone') == stimulative
    assert ('stimulative' in cfg.default_hooks) == stimulative
    if stimulative:
        assert cfg.model.backbone.choices == (1, 2, 4, 1)
        hook = cfg.default_hooks.stimulative
        assert (hook.num_subnets, hook.weight, hook.inputs.min_ratio) == (1, 1.0, 0.43)
        assert hook.supervision.type == 'mmst.GroundTruthSupervision'


@pytest.mark.parametrize('optimizer', ['', '_sgd'])
def test_stimulative_config_differs_in_nothing_else(optimizer):
    plain, stimulative = load(f'faster_rcnn_r50{optimizer}'), load(f'faster_rcnn_r50_st{optimizer}')
    del stimulative.default_hooks['stimulative'], stimulative.model.backbone['choices']
    stimulative.model.backbone.type = stimulative.model.backbone.pop('wraps')
    assert stimulative.to_dict() == plain.to_dict()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_mini_data('coco', tmp_path_factory.mktemp('mini') / 'coco', num_train=6, num_val=2)


@pytest.mark.parametrize('name', [name for name, *_ in FASTER_RCNN])
def test_config_trains_resumes_and_is_tested_on_mini_data(run_tool, data, tmp_path, name):
    config, work_dir = CONFIGS / f'{name}.py', tmp_path / 'run'
    common = ('--mini', '--data-root', data, '--work-dir', work_dir)
    run_tool('train', config, *common, '--max-iters', 1, '--seed', 0)
    run_tool('train', config, *common, '--max-iters', 2, '--seed', 0, '--resume')
    checkpoint = load_checkpoint(work_dir / 'iter_2.pth')
    assert checkpoint['meta']['iter'] == 2
    assert all(torch.isfinite(value).all() for value in checkpoint['state_dict'].values())
    scalars = [
        json.loads(line)
        for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in log.read_text().splitlines()
    ]
    iterations = [line for line in scalars if 'loss_rpn_cls' in line]
    assert [line['iter'] for line in iterations] == [1, 2]
    assert all(('subnet/loss_cls' in line) == ('_st' in name) for line in iterations)

    out = tmp_path / 'metrics.json'
    options = ('--depths', '3,3,4,3', '--recalibrate', 1, '--out', out)
    run_tool('test', config, work_dir / 'iter_2.pth', *common, *options)
    assert out.is_file()


def test_detection_needs_no_other_task_library(data, tmp_path):
    without = 'sys.modules.update(mmseg=None, mmpose=None, mmpretrain=None)'
    code = f"import runpy, sys; {without}; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    config, tool = CONFIGS / 'faster_rcnn_r50_st.py', CONFIGS.parent / 'tools' / 'train.py'
    options = ['--mini', '--data-root', data, '--work-dir', tmp_path, '--max-iters', '1']
    command = [sys.executable, '-c', code, tool, config, *options, '--no-validate']
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / 'iter_1.pth').is_file()
