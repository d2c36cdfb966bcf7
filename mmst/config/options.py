"""OpenMMLab's usual command line options, as edits of a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmst.engine.accelerator import has_accelerator

from .traversal import type_name

__all__ = [
    'disable_validation',
    'enable_amp',
    'enable_auto_scale_lr',
    'set_seed',
    'set_work_dir',
]


def set_work_dir(cfg: Config, work_dir: str | None, config_file: str) -> Config:
    """Sets the work dir: the option, the config's, or ``work_dirs/<name>``."""
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(config_file).stem)
    return cfg


def set_seed(cfg: Config, seed: int) -> Config:
    """Sets the seed of a run, in place; other settings of ``randomness`` stay.

    Raises:
        ValueError: ``seed`` is negative.
    """
    if seed < 0:
        raise ValueError(f'--seed must be at least 0, got {seed}')
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    return cfg


def disable_validation(cfg: Config) -> Config:
    """Removes validation from a config, and the settings that need its result."""
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint')
    if checkpoint:
        checkpoint.pop('save_best', None)
    return cfg


def enable_amp(cfg: Config) -> Config:
    """Makes the optimiser wrapper one for mixed precision, in place.

    Raises:
        RuntimeError: There is no accelerator.
        ValueError: The config's optimiser wrapper is of another kind.
    """
    if not has_accelerator():
        raise RuntimeError(
            '--amp needs an accelerator (AmpOptimWrapper cannot be built on a CPU), found none; '
            'leave --amp out'
        )
    if not cfg.get('optim_wrapper'):
        raise ValueError('--amp needs a config with optim_wrapper, got none')
    wrapper = cfg.optim_wrapper
    kind = type_name(wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(
            f'--amp needs an optim_wrapper of type OptimWrapper, got {kind}; leave --amp out, or '
            'set up mixed precision in the config'
        )
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def enable_auto_scale_lr(cfg: Config) -> Config:
    """Lets the learning rate follow the total batch size, in place.

    Raises:
        ValueError: The config does not say for which batch size its learning rate is.
    """
    settings: Any = cfg.get('auto_scale_lr') or {}
    if 'base_batch_size' not in settings:
        raise ValueError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the config, got '
            f'auto_scale_lr={dict(settings) or None}; add it, e.g. with '
            '--cfg-options auto_scale_lr.base_batch_size=16'
        )
    settings.enable = True
    return cfg
