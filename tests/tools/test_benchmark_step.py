"""tools/benchmark_step.py measures a config, and says what is wrong."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from pictures import labelled, points

ST = """
_base_ = './tiny_mmdet.py'
model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(2, 2, 2, 2)))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.5)))
"""


@pytest.fixture
def stimulative(tiny):
    """A tiny config of stimulative training, and data for it."""
    config, data = tiny
    file = config.with_name('stimulative.py')
    file.write_text(ST)
    return file, data


pytestmark = pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)


def test_config_is_measured(stimulative, run_tool, tmp_path, capsys, saved_figures):
    config, data = stimulative
    out = tmp_path / 'out'
    options = ['--num-subnets', 0, 2, '--iters', 2, '--warmup', 1, '--size', 48, 80]
    options += ['--batch-size', 1, '--hook-options', 'interval=2', 'inputs.min_ratio=0.6']
    options += ['--cfg-options', 'model.backbone.with_cp=False', '--seed', 3]
    run_tool('benchmark_step', config, '--data-root', data, '--out', out, *options)

    content = json.loads((out / 'step_benchmark.json').read_text())
    settings = content['settings']
    assert settings['input_shapes'] == [[1, 3, 64, 96]] * 3  # padded
    assert (settings['num_subnets'], settings['iters'], settings['seed']) == ([0, 2], 2, 3)
    assert settings['hook']['inputs']['min_ratio'] == 0.6
    assert settings['cfg_options'] == {'model.backbone.with_cp': False}
    assert content['environment']['versions']['mmdet']
    samples = {(sample['arm'], sample['step']): sample for sample in content['samples']}
    assert set(samples) == {
        (arm, step) for arm in ('plain', 'plain again', 'K=0', 'K=2') for step in (1, 2)
    }
    plain, inactive, two = (
        [samples[arm, step]['flops'] for step in (1, 2)] for arm in ('plain', 'K=0', 'K=2')
    )
    assert plain == inactive
    assert two[0] == plain[0]
    assert two[1] > 1.5 * plain[1]  # every second iteration
    assert samples['K=2', 2]['resize_seconds'] > 0 == samples['K=2', 1]['resize_seconds']
    assert samples['K=2', 2]['peak_bytes'] > samples['K=2', 1]['peak_bytes'] > 0

    summary = {entry['arm']: entry for entry in content['summary']}
    assert summary['K=0']['floor'] == 1
    assert summary['K=2']['floor'] == pytest.approx(sum(two) / sum(plain))
    figure = saved_figures['step_benchmark.png']
    measured = labelled(figure.axes[0])['measured time, 95 %'].lines[0]
    assert points(measured) == [(k, summary[f'K={k}']['time_ratio']) for k in (0, 2)]
    assert (out / 'step_benchmark.png').is_file()
    printed = capsys.readouterr().out
    assert 'stimulative, inputs 1 x 3 x 64 x 96, ' in printed
    assert [line.split()[0] for line in printed.splitlines() if line[:2] == 'K='] == ['K=0', 'K=2']


def test_mini_is_that_of_training(stimulative, run_tool, tmp_path):
    config, data = stimulative
    out = tmp_path / 'out'
    options = ['--num-subnets', 1, '--iters', 1, '--warmup', 1, '--cfg-options']
    run_tool(
        'benchmark_step', config, '--mini', '--data-root', data, '--out', out, *options,
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    )  # fmt: skip
    cfg = Config.fromfile(out / 'stimulative.py')
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.model.backbone.norm_eval is False
    assert cfg.model.train_cfg.rcnn.sampler.num == 128
    assert (out / 'step_benchmark.json').is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--iters', '0'], r'--iters must be at least 1, got 0'),
        (['--hook-options', 'colour=red'], r'TypeError.*colour'),
        (['--hook-options', 'num_subnets=2'], r'must leave num_subnets alone'),
        (['--amp', '--device', 'cpu'], r'--amp needs an accelerator, got --device cpu'),
        (['--seed', '-1'], r'--seed must be at least 0'),
        (['--data-root', 'gone'], r"--data-root must be an existing folder, got 'gone'"),
        (['--cfg-options', 'default_hooks.stimulative=None'], r'one mmst\.StimulativeHook, got 0'),
    ],
)
def test_what_is_wrong_is_said_first(stimulative, run_tool, tmp_path, arguments, message):
    config, data = stimulative
    if '--data-root' not in arguments:
        arguments = ['--data-root', data, *arguments]
    with pytest.raises(SystemExit, match=message):
        run_tool('benchmark_step', config, '--out', tmp_path / 'out', *arguments)
    assert not (tmp_path / 'out').exists()


def test_results_go_to_a_folder_named_after_the_config(stimulative, run_tool, monkeypatch):
    config, data = stimulative
    monkeypatch.chdir(config.parent)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit, match='--device cuda needs a CUDA device'):
        run_tool('benchmark_step', config, '--data-root', data, '--device', 'cuda')
    assert not Path('work_dirs').exists()
