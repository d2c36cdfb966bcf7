"""A config whose training loop measures iterations instead of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mmst.config import remove_surroundings, set_seed
from mmst.config.library import library_of
from mmst.config.stimulative_hook import find_stimulative_hook
from mmst.config.training import check_training, remove_pretrained
from mmst.config.traversal import datasets, type_name
from mmst.core.resize import Size
from mmst.engine import HOOKS

__all__ = ['StepSettings', 'prepare_step_benchmark', 'take_hook']


FIXED = {'begin': 0, 'by_epoch': False, 'weight_schedule': 'constant'}
"""Settings of every measured hook: it is the stimulated part of a training that is measured."""


@dataclass(frozen=True)
class StepSettings:
    """Settings of a measurement.

    Args:
        num_subnets: Numbers of subnets per iteration, K; 0 is a hook that is there but inactive.
        iters: Measured iterations of each arm, a multiple of the hook's interval.
        warmup: Iterations of each arm before those.
        batch_size: Images per iteration; ``None`` for the config's.
        size_hw: Size in pixels of each image of a batch; ``None`` for what the config's pipeline
            yields.
        channels_last: Whether the model is in that memory format.
        device: ``'cpu'`` or ``'cuda'``; ``None`` for mmengine's choice.
        seed: Seed of data, weights and draws.

    Raises:
        ValueError: A setting is out of range.
    """

    num_subnets: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    iters: int = 20
    warmup: int = 3
    batch_size: int | None = None
    size_hw: Size | None = None
    channels_last: bool = False
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.num_subnets or min(self.num_subnets) < 0:
            raise ValueError(
                f'--num-subnets must be integers of at least 0, got {list(self.num_subnets)}'
            )
        if len(set(self.num_subnets)) < len(self.num_subnets):
            raise ValueError(f'--num-subnets must not repeat, got {list(self.num_subnets)}')
        for name, value in (('iters', self.iters), ('warmup', self.warmup)):
            if value < 1:
                raise ValueError(f'--{name} must be at least 1, got {value}')
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f'--batch-size must be at least 1, got {self.batch_size}')
        if self.size_hw is not None and min(self.size_hw) < 1:
            raise ValueError(f'--size must be at least 1 pixel a side, got {self.size_hw}')
        if self.device not in (None, 'cpu', 'cuda'):
            raise ValueError(f"--device must be 'cpu' or 'cuda', got {self.device!r}")
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ValueError('--device cuda needs a CUDA device, found none; leave --device out')


def prepare_step_benchmark(
    cfg: Config,
    settings: StepSettings,
    hook_options: Mapping[str, Any] | None = None,
) -> Config:
    """Makes a Runner of this config measure its training iterations, in place.

    Model, data pipeline, optimiser and precision stay as they are. Initial weights are random
    (their values cost nothing), and what surrounds an iteration (validation, logs, checkpoints,
    learning rate schedule, custom hooks, gradient accumulation) is gone.

    Args:
        cfg: Config with a ``StimulativeHook``.
        settings: What is measured.
        hook_options: Changes to the settings of the hook; keys may have dots.

    Returns:
        ``cfg``.

    Raises:
        TypeError: The hook has no such setting.
        ValueError: The config has no training, or no hook or several; or the settings do not fit.
    """
    check_training(cfg)
    hook = take_hook(cfg, hook_options)
    _check_hook(hook, settings)
    remove_surroundings(cfg)
    remove_pretrained(cfg.model)
    cfg.load_from, cfg.resume = None, False
    cfg.optim_wrapper.pop('accumulative_counts', None)
    set_seed(cfg, settings.seed)
    _set_data(cfg, settings)
    cfg.train_cfg = dict(
        type='StepBenchmarkLoop',
        hook=hook,
        num_subnets=list(settings.num_subnets),
        iters=settings.iters,
        warmup=settings.warmup,
        channels_last=settings.channels_last,
        device=settings.device,
    )
    return cfg


def take_hook(cfg: Config, options: Mapping[str, Any] | None = None) -> ConfigDict:
    """Removes the ``StimulativeHook`` from a config; returns its settings, changed by options.

    Raises:
        ValueError: There is no such hook, or several, or an option is the benchmark's to set.
    """
    found = find_stimulative_hook(cfg)
    reserved = sorted({'type', 'num_subnets', *FIXED} & set(options or ()))
    if reserved:
        raise ValueError(
            f'--hook-options must leave {", ".join(reserved)} alone: the benchmark sets it '
            '(--num-subnets for the number of subnets)'
        )
    default_hooks, custom_hooks = cfg.get('default_hooks') or {}, cfg.get('custom_hooks') or []
    cfg.default_hooks = {name: hook for name, hook in default_hooks.items() if hook is not found}
    cfg.custom_hooks = [hook for hook in custom_hooks if hook is not found]
    holder = Config(dict(hook=found))
    holder.merge_from_dict({f'hook.{key}': value for key, value in (options or {}).items()})
    return ConfigDict(holder.hook, **FIXED)


def _check_hook(hook: ConfigDict, settings: StepSettings) -> None:
    built = HOOKS.build(dict(hook))
    if built.weight == 0:
        raise ValueError(
            'weight of the StimulativeHook must be above 0 to measure its cost, got 0; set it with '
            '--hook-options weight=1.0 (an inactive hook is measured by --num-subnets 0)'
        )
    if settings.iters % built.interval:
        raise ValueError(
            f"--iters must be a multiple of the hook's interval, {built.interval}, so that each "
            f'average is over whole intervals; got {settings.iters}'
        )


def _set_data(cfg: Config, settings: StepSettings) -> None:
    if settings.size_hw is not None:
        _set_image_size(cfg, settings.size_hw)
    if settings.batch_size is not None:
        cfg.train_dataloader.batch_size = settings.batch_size
    cfg.train_dataloader.persistent_workers = False  # They would idle beside the measurement.


def _set_image_size(cfg: Config, size_hw: Size) -> None:
    """Resizes the images of the training pipelines once more, at their end."""
    height, width = size_hw
    pipelines = {
        id(dataset.pipeline): dataset.pipeline
        for dataset in datasets(cfg, ('train_dataloader',))
        if dataset.get('pipeline') and str(type_name(dataset.pipeline[-1])).startswith('Pack')
    }
    if not pipelines or library_of(cfg).scope == 'mmpose':
        raise ValueError(
            '--size needs a training pipeline that ends in packing images of any size, as those of '
            'mmdet, mmsegmentation and mmpretrain do; set the size with --cfg-options instead '
            "(mmpose: the codec's input_size, wherever it stands)"
        )
    for pipeline in pipelines.values():
        pipeline.insert(-1, ConfigDict(type='Resize', scale=(width, height), keep_ratio=False))
    preprocessor = cfg.model.get('data_preprocessor')
    if preprocessor and preprocessor.get('size') is not None:
        preprocessor.size = size_hw  # mmsegmentation pads to it
