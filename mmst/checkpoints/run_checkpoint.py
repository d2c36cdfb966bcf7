"""Checks that the checkpoint of a training or test belongs to its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import CheckpointLoader, find_latest_checkpoint

from .build import build_model
from .convert import ConvertedCheckpoint, convert_source
from .model_fit import check_kind, check_model, check_start
from .safe_load import load_checkpoint, safe_loading
from .source import Source, source_of

__all__ = ['check_checkpoint', 'check_evaluated']


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
        _check_loaded(cfg, file, checkpoint, '--resume' if resume else 'load_from')
    if resume:
        _take_seed(cfg, checkpoint)


def check_evaluated(cfg: Config, checkpoint: str) -> None:
    """Reads the checkpoint that a test of this config will load.

    Args:
        cfg: Config whose ``load_from`` is set.
        checkpoint: What the user calls it.

    Raises:
        UntrustedCheckpointError: Reading it would run code.
        ValueError: It does not fit the model.
    """
    with safe_loading(checkpoint):
        content = CheckpointLoader.load_checkpoint(cfg.load_from, map_location='cpu')
    _check_loaded(cfg, checkpoint, content, 'CHECKPOINT')


def _check_loaded(cfg: Config, file: str, checkpoint: Any, argument: str) -> None:
    """Raises ValueError if what mmengine will read from a file is of another model.

    Args:
        cfg: Config of the run.
        file: A file or URL.
        checkpoint: What mmengine will read from there.
        argument: What names it: ``'load_from'``, where heads may differ, ``'--resume'`` or
            ``'CHECKPOINT'``.
    """
    is_dict = isinstance(checkpoint, Mapping)
    weights = checkpoint.get('state_dict', checkpoint) if is_dict else checkpoint
    meta = checkpoint.get('meta') if is_dict else None
    converted = _as_resnet(source_of(weights, file, meta=meta))
    model = build_model(cfg)
    backbone = getattr(model, 'backbone', None)
    if converted is not None and backbone is not None:
        check_kind(backbone, converted, argument, file)
    if argument == 'load_from':
        check_start(model, checkpoint, file)
    else:
        check_model(model, checkpoint, file, argument)


def _as_resnet(source: Source) -> ConvertedCheckpoint | None:
    with suppress(ValueError):
        return convert_source(source, to='backbone')
    return None


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
    """Names the checkpoint to continue from, if one is damaged or missing."""
    last = _number(lost) if lost.is_file() else -1
    before = ' before it' if last >= 0 else ''
    numbers = {file: _number(file) for file in folder.glob('*.pth') if file != lost}
    files = [file for file, at in numbers.items() if at >= 0 and (last < 0 or at < last)]
    for file in sorted(files, key=lambda file: numbers[file], reverse=True):
        try:
            load_checkpoint(file, verify=True)
        except ValueError:
            continue
        return f'the newest readable checkpoint{before} is {file}: continue with --resume {file}'
    return f'no readable checkpoint{before} is in {folder}; leave --resume out to restart'


def _number(file: Path) -> int:
    """Iteration or epoch in the name of a checkpoint, -1 for other files."""
    match = re.fullmatch(r'(?:iter|epoch)_(\d+)', file.stem)
    return int(match[1]) if match else -1
