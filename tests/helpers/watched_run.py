"""A run of the toy classifier with validations, from a config, that subnets can be watched in."""

import random
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner
from toy_classifier import Images, ToyClassifier

import mmst  # noqa: F401 - registers what the settings name

DEPTHS = (2, 1, 2, 1)


@DATASETS.register_module(force=True)
class NoisyImages(Images):
    """Images with noise of all three generators, and of a cache of earlier ones."""

    def __init__(self, length=8, noise=True):
        super().__init__(length)
        self.noise, self.cache = noise, []

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if self.noise:
            shift = random.randrange(20) + np.random.randint(20) + int(torch.randint(20, ()))
            self.cache.append(shift)
            item['inputs'] = item['inputs'] // 2 + sum(self.cache[-3:])
        return item


@MODELS.register_module(force=True)
class CountingClassifier(ToyClassifier):
    """Counts its forwards in a buffer, and its preprocessed batches in an attribute."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.register_buffer('forwards', torch.zeros(()))
        self.data_preprocessor = CountingPreprocessor(mean=[127.0] * 3, std=[60.0] * 3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.forwards += 1
        return super().forward(inputs, data_samples, mode)


class CountingPreprocessor(type(ToyClassifier().data_preprocessor)):
    batches = 0

    def forward(self, data, training=False):
        self.batches += training
        data = super().forward(data, training)
        data['inputs'] = data['inputs'] + 0.01 * self.batches * training
        return data


@METRICS.register_module(force=True)
class Probability(BaseMetric):
    """Mean probability of the right class; ``lists`` are no numbers."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        for logits, sample in zip(data_samples, data_batch['data_samples'], strict=True):
            label = sample.gt_instances.labels
            self.results.append(logits.softmax(0)[label].item())

    def compute_metrics(self, results):
        mean = sum(results) / len(results)
        return {'probability': mean, 'images': len(results), 'lists': results}


@METRICS.register_module(force=True)
class EverySecond(Probability):
    """Finds nothing in every second evaluation, from ``first`` on, as mmdet's metrics may."""

    def __init__(self, first):
        super().__init__()
        self.silent = first == 0

    def compute_metrics(self, results):
        self.silent = not self.silent
        return super().compute_metrics(results) if self.silent else {}


class Spy(Hook):
    """Keeps the random states of each iteration and what was validated."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.states, self.metrics, self.inputs = [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.states.append(
            (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
        )
        self.inputs.append(torch.stack(data_batch['inputs']))

    def after_val_epoch(self, runner, metrics=None):
        self.metrics.append(dict(metrics))


def watched_config(
    work_dir, subnet_eval=None, *, length=4, by_epoch=False, stimulative=None, **settings
):
    """Config of a run of some iterations, or epochs, with a validation after every second one."""
    noisy = dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='NoisyImages'),
        sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
    )
    hooks = dict(
        checkpoint=dict(
            type='CheckpointHook', by_epoch=by_epoch, interval=2, save_best='auto', rule='greater'
        ),
        logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=by_epoch),
    )
    if subnet_eval is not None:
        hooks['subnet_eval'] = dict(type='mmst.SubnetEvalHook', **subnet_eval)
    if stimulative is not None:
        hooks['stimulative'] = stimulative
    loop = dict(type='IterBasedTrainLoop', max_iters=length)
    if by_epoch:
        loop = dict(type='EpochBasedTrainLoop', max_epochs=length)
    return Config(
        {
            'model': dict(type='CountingClassifier', dropout=0.2),
            'work_dir': str(work_dir),
            'experiment_name': Path(work_dir).name + Path(work_dir).parent.name,
            'train_dataloader': noisy,
            'train_cfg': dict(loop, val_interval=2),
            'optim_wrapper': dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
            'val_dataloader': {**noisy, 'sampler': dict(type='DefaultSampler', shuffle=False)},
            'val_cfg': {},
            'val_evaluator': dict(type='Probability'),
            'default_hooks': hooks,
            'custom_hooks': [],
            'log_processor': dict(by_epoch=by_epoch),
            'randomness': dict(seed=7),
            'default_scope': 'mmengine',
            'log_level': 'WARNING',
            'visualizer': dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            **settings,
        }
    )


def train_watched(cfg):
    """Trains; returns the runner, with what the spy saw as ``spy``."""
    runner = Runner.from_cfg(cfg)
    runner.spy = Spy()
    runner.register_hook(runner.spy)
    runner.train()
    return runner
