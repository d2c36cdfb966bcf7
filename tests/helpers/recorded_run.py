"""Settings and record of a run of a few iterations, in mmengine alone."""

from types import SimpleNamespace

from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmst  # noqa: F401 - registers what the settings name

HOOK = {
    'type': 'mmst.StimulativeHook',
    'supervision': {'type': 'mmst.GroundTruthSupervision'},
    'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5},
}

NO_PAUSE = 'mmengine.runner.loops.time', SimpleNamespace(sleep=lambda seconds: None)
"""Patch against the two seconds that mmengine waits for data workers before another epoch."""


class Record(Hook):
    """Keeps what the main network logged and what each iteration published about subnets."""

    priority = 'LOWEST'

    def __init__(self):
        self.outputs, self.subnet = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.outputs.append({name: value.item() for name, value in outputs.items()})
        scalars = runner.message_hub.log_scalars
        prefix = 'train/subnet/'
        self.subnet.append(
            {
                name.removeprefix(prefix): (buffer.current(), len(buffer.data[0]))
                for name, buffer in scalars.items()
                if name.startswith(prefix)
            }
        )


def recorded_runner(hook, *, max_iters=3, epochs=None, lr=0.01, **settings) -> Runner:
    """Builds a Runner that keeps a :class:`Record`; ``hook=None`` trains plainly.

    Args:
        hook: Settings of a StimulativeHook.
        max_iters: Iterations, unless ``epochs`` are given.
        epochs: Epochs of an epoch-based loop.
        lr: Learning rate of SGD with momentum.
        **settings: Arguments of the Runner, over those set here.
    """
    record = Record()
    loop = (
        {'type': 'EpochBasedTrainLoop', 'max_epochs': epochs}
        if epochs
        else {'type': 'IterBasedTrainLoop', 'max_iters': max_iters}
    )
    arguments = {
        'train_cfg': loop,
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': lr, 'momentum': 0.9},
        },
        'default_hooks': {
            'logger': {'type': 'LoggerHook', 'interval': 1},
            'checkpoint': None,
            **({'stimulative': hook} if hook else {}),
        },
        'custom_hooks': [record],
        'log_processor': {'by_epoch': bool(epochs)},
        'randomness': {'seed': 7},
        'log_level': 'ERROR',
    }
    runner = Runner(**{**arguments, **settings})
    runner.record = record
    return runner


def momentum(runner) -> dict:
    """Momentum buffers by parameter: after the first step they are the gradients."""
    state = runner.optim_wrapper.optimizer.state
    return {
        name: state[parameter]['momentum_buffer']
        for name, parameter in runner.model.named_parameters()
        if parameter in state
    }


def gradients(runner) -> dict:
    """Trains for one iteration and returns the gradients by parameter."""
    runner.train()
    assert runner.iter == 1
    return momentum(runner)


def loader(dataset, batch_size=2, shuffle=True) -> dict:
    """Settings of a data loader in the process of the run."""
    return {
        'dataset': dataset,
        'batch_size': batch_size,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': shuffle},
        'collate_fn': {'type': 'pseudo_collate'},
    }
