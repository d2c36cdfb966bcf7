"""Runs that start from a checkpoint, and runs that can be interrupted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.runner import CheckpointLoader, find_latest_checkpoint

from mmst.checkpoints import load_checkpoint, safe_loading

from .checkpoint import check_loaded

__all__ = ['check_checkpoint', 'make_resumable', 'set_resume']


def set_resume(cfg: Config, resume: str) -> Config:
    """Continues an interrupted run, in place.

    Args:
        cfg: Config, with its ``work_dir``.
        resume: ``'auto'`` for the latest checkpoint of ``work_dir`` (a new run if there is
            none), or a file.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file is missing.
    """
    if resume != 'auto' and '://' not in resume and not Path(resume).is_file():
        raise FileNotFoundError(
            f'--resume needs an existing checkpoint, got {resume!r}; leave the path out to '
            'continue from the latest one in the work dir'
        )
    cfg.resume = True
    cfg.load_from = None if resume == 'auto' else resume
    return cfg


def make_resumable(cfg: Config) -> Config:
    """Makes a run one that an interruption does not change, in place.

    Random numbers then depend on the seed and the iteration alone, see
    :class:`mmst.RandomStateHook`; those of data loading workers too, which are started again in
    each epoch.
    """
    hooks = ConfigDict(cfg.get('default_hooks') or {})
    hooks.setdefault('random_state', dict(type='mmst.RandomStateHook'))
    cfg.default_hooks = hooks
    loader = cfg.get('train_dataloader')
    # Workers of an iteration-based loop repeat what they did: mmengine loads all batches again.
    by_epoch = 'max_epochs' in (cfg.get('train_cfg') or {})
    if loader and by_epoch and loader.get('num_workers', 0) and 'worker_init_fn' not in loader:
        loader.persistent_workers = False
        loader.worker_init_fn = dict(type='mmst.seed_worker')
        loader.pop('disable_subprocess_warning', None)
    return cfg


def check_checkpoint(cfg: Config) -> None:
    """Reads the checkpoint that a run of this config will start from, if there is one.

    A resumed run without a seed in its config takes the interrupted run's, in place: mmengine
    shuffles the data before it reads the checkpoint.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It is damaged, not trusted, or of another model. For a damaged last checkpoint
            the error names the newest readable one before it.
    """
    resume = cfg.get('resume')
    file = cfg.get('load_from')
    automatic = file is None
    if automatic and resume and (Path(cfg.work_dir) / 'last_checkpoint').is_file():
        file = find_latest_checkpoint(cfg.work_dir)
    if file is None:
        return
    try:
        checkpoint = _read(file, verify=bool(resume))
    except (ValueError, FileNotFoundError) as error:
        if not resume:
            raise
        folder = Path(cfg.work_dir) if automatic else Path(file).parent
        source = f' (from {folder / "last_checkpoint"})' if automatic else ''
        raise type(error)(f'{error}{source}; {_advice(Path(file), folder)}') from None
    if cfg.get('model'):
        check_loaded(cfg, file, checkpoint, '--resume' if resume else 'load_from')
    if resume:
        _take_seed(cfg, checkpoint)


def _read(file: str, verify: bool) -> Any:
    if '://' not in file:
        return load_checkpoint(file, verify=verify)
    with safe_loading(file):
        return CheckpointLoader.load_checkpoint(file, map_location='cpu')


def _take_seed(cfg: Config, checkpoint: Any) -> None:
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    randomness = cfg.get('randomness') or {}
    if meta and meta.get('seed') is not None and randomness.get('seed') is None:
        cfg.randomness = dict(randomness, seed=meta['seed'])


def _advice(lost: Path, folder: Path) -> str:
    """Says from which checkpoint of a folder the run can go on, if one is damaged or missing."""
    last = _number(lost) if lost.is_file() else -1
    before = ' before it' if last >= 0 else ''
    numbers = {file: _number(file) for file in folder.glob('*.pth') if file != lost}
    files = [file for file, at in numbers.items() if at >= 0 and (last < 0 or at < last)]
    for file in sorted(files, key=numbers.get, reverse=True):
        try:
            load_checkpoint(file, verify=True)
        except ValueError:
            continue
        return f'the newest readable checkpoint{before} is {file}: continue with --resume {file}'
    return f'no readable checkpoint{before} is in {folder}; leave --resume out to restart'


def _number(file: Path) -> int:
    """The iteration or epoch that mmengine named a checkpoint by, -1 for other files."""
    match = re.fullmatch(r'(?:iter|epoch)_(\d+)', file.stem)
    return int(match[1]) if match else -1
