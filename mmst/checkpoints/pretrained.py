"""Checks that the weights that a config names for its backbone fit it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import nn

from .block_difference import block_difference
from .build import build_model, build_module
from .safe_load import safe_loading
from .tensor_fit import TensorFit, unexpected_names, warn_of_random_tensors

__all__ = ['check_pretrained', 'names_checkpoint']


def names_checkpoint(init_cfg: Any) -> bool:
    """Tells whether an ``init_cfg`` reads a file; mmdet's PVT has this key without a type."""
    return isinstance(init_cfg, dict) and 'checkpoint' in init_cfg


def check_pretrained(cfg: Config) -> None:
    """Checks the weights from local files that ``init_cfg`` or ``pretrained`` names.

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
    except KeyError as error:  # e.g. from Swin, which looks up by name the tables that it resizes
        raise ValueError(
            f'init_cfg names {named}, which the backbone cannot load: it has no {error}; give '
            'weights of this architecture'
        ) from error
    _check_filled(backbone, _fit_of_twins(backbone, twin, unexpected), named)


def _fit_of_twins(backbone: nn.Module, twin: nn.Module, unexpected: tuple[str, ...]) -> TensorFit:
    """Fit of two backbones to a file: parameters in which they differ were not loaded."""
    parameters = dict(twin.named_parameters())
    return TensorFit(
        {name: tuple(value.shape) for name, value in parameters.items()},
        {n: None for n, v in backbone.named_parameters() if not torch.equal(v, parameters[n])},
        unexpected,
    )


def _check_filled(backbone: nn.Module, fit: TensorFit, named: str) -> None:
    """Raises ValueError if files leave too much of a backbone random, and logs the rest."""
    unfilled = fit.missing
    if (share := fit.share(unfilled)) > 0.5:
        raise ValueError(
            f'init_cfg names {named}, which would leave {share:.0%} of the backbone random (first: '
            f'{unfilled[0]}); give weights of this architecture. --weights FILE converts those of '
            'other libraries'
        )
    # A tensor of one value may be loaded or initialised, so it says nothing about its block.
    varied = {n for n, v in backbone.named_parameters() if v.numel() and v.min() != v.max()}
    if difference := block_difference(backbone, varied, set(unfilled), fit.unexpected):
        raise ValueError(
            f'init_cfg names {named}, which {difference}; give weights of this architecture, or '
            'set that of the backbone to that of the file'
        )
    warn_of_random_tensors(f'init_cfg with {named}', unfilled, len(fit.needed), 'backbone')


def _named_files(node: dict[str, Any]) -> list[str]:
    """Names of checkpoints in a module's own config."""
    initial, pretrained = node.get('init_cfg'), node.get('pretrained')
    entries: list[Any] = initial if isinstance(initial, list) else [initial]
    files = [str(entry.get('checkpoint')) for entry in entries if names_checkpoint(entry)]
    return [*files, pretrained] if isinstance(pretrained, str) else files


def _initial_backbone(cfg: Config, whole: bool, seed: int) -> tuple[nn.Module, tuple[str, ...]]:
    """The backbone after its initialisation, as a part of the model or alone.

    Returns:
        The backbone, and what files have for it that it has no place for.
    """
    with torch.random.fork_rng(devices=[]), _silence():
        torch.default_generator.manual_seed(seed)
        model: BaseModule = build_model(cfg) if whole else build_module(cfg, cfg.model.backbone)
        backbone: nn.Module = getattr(model, 'backbone', model) if whole else model
        with unexpected_names(backbone) as unexpected:
            model.init_weights()
    return backbone, tuple(name.removeprefix('backbone.') for name in unexpected)


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
