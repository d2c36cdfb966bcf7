"""Whether the weights that a config itself names for its backbone fit it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from torch import nn

from mmst.checkpoints import safe_loading
from mmst.checkpoints.block_difference import block_difference, unexpected_names
from mmst.checkpoints.model_fit import MOST_SHOWN, build_model, build_module
from mmst.engine.random_state import private_random_state

from .traversal import names_checkpoint

__all__ = ['check_pretrained']


def check_pretrained(cfg: Config) -> None:
    """Checks what the backbone gets from local files that ``init_cfg`` or ``pretrained`` names.

    mmengine only logs what it cannot load, and backbones convert files in ways of their own. So the
    backbone is initialised twice, with different random numbers: what differs is random.

    Raises:
        FileNotFoundError: A file is missing.
        UntrustedCheckpointError: Reading one would run code.
        ValueError: More than half of the backbone would stay random, or a file has fewer or more
            blocks.
    """
    model = cfg.get('model') or {}
    whole = _named_files(model)
    files = whole + _named_files(model.get('backbone') or {})
    loaded_over = cfg.get('load_from') or cfg.get('resume')
    if not files or loaded_over or any('://' in file for file in files):
        return
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(
                f'init_cfg names the file {file!r}, which does not exist; choose initial weights '
                'with --weights'
            )
    named = ' and '.join(repr(file) for file in files)
    try:
        with safe_loading(files[0]):
            (backbone, unexpected), (twin, _) = (
                _initial_backbone(cfg, bool(whole), seed) for seed in (0, 1)
            )
    except KeyError as error:  # from Swin, for one, which resizes tables by their names in the file
        raise ValueError(
            f'init_cfg names {named}, which the backbone cannot load: it has no {error}; give '
            'weights of this architecture'
        ) from error
    _check_filled(backbone, twin, unexpected, named)


def _check_filled(backbone: nn.Module, twin: nn.Module, unexpected: set[str], named: str) -> None:
    """Raises ValueError if files left too much of two backbones different, and logs the rest."""
    first, second = dict(backbone.named_parameters()), dict(twin.named_parameters())
    unfilled = [name for name, value in first.items() if not torch.equal(value, second[name])]
    missing = sum(first[name].numel() for name in unfilled)
    share = missing / sum(value.numel() for value in first.values())
    if share > 0.5:
        raise ValueError(
            f'init_cfg names {named}, which would leave {share:.0%} of the backbone random (first: '
            f'{unfilled[0]}); give weights of this architecture. --weights FILE converts those of '
            'other libraries'
        )
    # A tensor of one value may be loaded or initialised, so it says nothing about its block.
    varied = {name for name, v in first.items() if v.numel() and v.min() != v.max()}
    if difference := block_difference(backbone, varied, set(unfilled), unexpected):
        raise ValueError(
            f'init_cfg names {named}, which {difference}; give weights of this architecture, or '
            'set that of the backbone to that of the file'
        )
    if unfilled:
        shown = ', '.join(unfilled[:MOST_SHOWN]) + (', ...' if len(unfilled) > MOST_SHOWN else '')
        print_log(
            f'init_cfg names {named}, which leaves {len(unfilled)} tensors of the backbone random: '
            f'{shown}',
            logger='current',
            level=logging.WARNING,
        )


def _named_files(node: dict[str, Any]) -> list[str]:
    """Names of checkpoints that a module's own config has."""
    initial, pretrained = node.get('init_cfg'), node.get('pretrained')
    entries = initial if isinstance(initial, list) else [initial]
    files = [str(entry.get('checkpoint')) for entry in entries if names_checkpoint(entry)]
    return [*files, pretrained] if isinstance(pretrained, str) else files


def _initial_backbone(cfg: Config, whole: bool, seed: int) -> tuple[nn.Module, set[str]]:
    """The backbone after its initialisation, as a part of the model or alone.

    Returns:
        The backbone, and what files have for it that it has no place for.
    """
    with private_random_state(f'mmst.initial:{seed}', torch.device('cpu')), _silence():
        model = build_model(cfg) if whole else build_module(cfg, cfg.model.backbone)
        backbone = getattr(model, 'backbone', model) if whole else model
        with unexpected_names(backbone) as unexpected:
            model.init_weights()
    return backbone, {name.removeprefix('backbone.') for name in unexpected}


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps mmengine from logging every tensor that it initialises."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
