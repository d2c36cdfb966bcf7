"""OpenMMLab's usual command line options, as edits of a config."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import (
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)

from .traversal import type_name

__all__ = [
    'disable_validation',
    'enable_amp',
    'enable_auto_scale_lr',
    'has_accelerator',
    'load_config',
    'set_seed',
    'set_work_dir',
]


def load_config(file: str) -> Config:
    """Reads a config file, also one of mmengine's new style (``with read_base():``).

    ``'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'`` is one that an installed library ships.

    ``PretrainedInit`` in the model becomes ``'Pretrained'``, with which OpenMMLab's backbones
    compare: by the class, ResNets would set the last norm weight of each loaded block to 0; by the
    class's path, which mmengine writes to files, layers would be initialised after loading.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The library is not installed.
    """
    path = _shipped(file) if '::' in file else Path(file)
    if not path.is_file():
        raise FileNotFoundError(f'config must be an existing file, got {file!r}{_similar(path)}')
    cfg = Config.fromfile(path)
    _name_pretrained(cfg.get('model'))
    return cfg


def _shipped(name: str) -> Path:
    """Where ``library::path`` is."""
    library, _, path = name.partition('::')
    spec = importlib.util.find_spec(library) if library.isidentifier() else None
    if spec is None or spec.origin is None:
        raise ImportError(f'config {name!r} is one of {library!r}, which is not installed')
    return Path(spec.origin).parent / '.mim' / 'configs' / path


def _similar(path: Path) -> str:
    """The file of the same folder with the most similar name, as a hint."""
    names = [file.name for file in path.parent.glob('*.py')]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f'; there is {close[0]!r} in the same folder' if close else ''


def _name_pretrained(node: Any) -> None:
    if isinstance(node, dict):
        if type_name(node) == 'PretrainedInit':
            node['type'] = 'Pretrained'
        node = list(dict.values(node))
    if isinstance(node, (list, tuple)):
        for value in node:
            _name_pretrained(value)


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


def has_accelerator() -> bool:
    """Returns whether a device for mixed precision and NCCL (or similar) is present."""
    return any(
        available()
        for available in (is_cuda_available, is_npu_available, is_mlu_available, is_musa_available)
    )
