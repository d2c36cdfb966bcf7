"""A run that is killed and resumed is, bit for bit, the run that was not."""

import random
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_flatten

from mmst.checkpoints import load_checkpoint

CONFIG = """
_base_ = '{base}'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        type='mmst.STBackbone', wraps='ResNet', choices=(2, 2, 2, 2), norm_eval=False,
        frozen_stages=-1, zero_init_residual=False),
    train_cfg=dict(rpn=dict(sampler=dict(num=16)), rcnn=dict(sampler=dict(num=8))))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64)), dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
train_dataloader = dict(
    num_workers={workers}, persistent_workers={persistent}, dataset=dict(pipeline=pipeline),
    {sampler})
train_cfg = dict(_delete_=True, {loop})
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=4)]
optim_wrapper = dict(optimizer=dict(lr=0.002))
default_hooks = dict(
    checkpoint=dict(_delete_=True, type='CheckpointHook', {checkpoint}),
    logger=dict(interval=1),
    kill=dict(type='KillSwitch', iteration=-1),
    stimulative=dict(
        type='mmst.StimulativeHook', num_subnets=2,
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.5)))
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
log_processor = dict(by_epoch={by_epoch})
"""

# 6 images, 2 per batch: an epoch has 3 iterations. Checkpoints of iterations lie within epochs.
LOOPS = {
    'iterations': {
        'loop': "type='IterBasedTrainLoop', max_iters=8, val_interval=3",
        'checkpoint': 'by_epoch=False, interval=2',
        'sampler': "sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True), "
        'batch_sampler=None',
        'by_epoch': False,
        'kill': (3, 7),
        'last': 'iter_8.pth',
    },
    'epochs': {
        'loop': "type='EpochBasedTrainLoop', max_epochs=3, val_interval=1",
        'checkpoint': 'interval=1',
        'sampler': '',
        'by_epoch': True,
        'kill': (4, 8),
        'last': 'epoch_3.pth',
    },
}


@pytest.fixture
def start(start_process):
    """Trains in a new process; returns its exit code and what it printed."""

    def start(log, *arguments):
        process = start_process('resume_worker', 'train', arguments, log)
        process.join(300)
        return process.exitcode, Path(log).read_text()

    return start


def write_config(tiny, folder, loop, workers):
    base, data = tiny
    config = folder / 'run.py'
    settings = LOOPS[loop]
    config.write_text(CONFIG.format(base=base, workers=workers, persistent=workers > 0, **settings))
    return config, ('--data-root', data, '--weights', 'none')


def compare(first, second):
    """Asserts that checkpoints are equal in everything but the clock.

    mmengine does not repeat the validation that follows a checkpoint, so its values may be missing.
    """
    assert first['meta']['iter'] == second['meta']['iter']
    assert first['param_schedulers'] == second['param_schedulers']
    for part in ('state_dict', 'ema_state_dict', 'optimizer'):
        tensors = [tree_flatten(checkpoint[part])[0] for checkpoint in (first, second)]
        assert len(tensors[0]) == len(tensors[1]) > 100
        for a, b in zip(*tensors, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, part
    logs = [checkpoint['message_hub']['log_scalars'] for checkpoint in (first, second)]
    names = {name for name in logs[0] if name.startswith('train/') and 'time' not in name}
    assert {'train/loss', 'train/subnet/loss', 'train/subnet/size', 'train/lr'} <= names
    for name in names:
        values = [log[name].data[0].tolist() for log in logs]
        assert values[0] == values[1], name


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
@pytest.mark.parametrize(
    ('loop', 'workers'),
    [
        pytest.param('epochs', 2, marks=pytest.mark.slow),
        ('iterations', 0),
        pytest.param('epochs', 0, marks=pytest.mark.slow),
        pytest.param('iterations', 2, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_is_uninterrupted(tiny, tmp_path, start, loop, workers):
    config, common = write_config(tiny, tmp_path, loop, workers)
    runs = {name: ('--work-dir', tmp_path / name) for name in ('whole', 'broken')}
    first, last = LOOPS[loop]['kill']
    at = random.randrange(first, last + 1)
    kill = ('--cfg-options', f'default_hooks.kill.iteration={at}')
    code, printed = start(tmp_path / 'log', config, *common, *runs['broken'], *kill)
    assert code == -9, printed[-3000:]
    # No seed in the config: the resumed run takes the interrupted one's.
    code, printed = start(tmp_path / 'log', config, *common, *runs['broken'], '--resume')
    assert code == 0, printed[-3000:]
    assert 'resumed epoch' in printed
    resumed = load_checkpoint(tmp_path / 'broken' / LOOPS[loop]['last'])
    seed = ('--seed', resumed['meta']['seed'])
    code, printed = start(tmp_path / 'log2', config, *common, *runs['whole'], *seed)
    assert code == 0, printed[-3000:]
    uninterrupted = load_checkpoint(tmp_path / 'whole' / LOOPS[loop]['last'])
    compare(resumed, uninterrupted)
