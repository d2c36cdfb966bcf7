"""The checkpoint of a whole model that a tool evaluates or takes apart."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mmst.checkpoints import (
    CONVERT_SCHEME,
    Source,
    convert_source,
    read_source,
)
from mmst.checkpoints.backbone_weights import read_by_mmengine
from mmst.checkpoints.run_checkpoint import check_evaluated

from .library import library_of
from .named_weights import NAMED_WEIGHTS, check_plain_resnet50
from .traversal import type_name

__all__ = ['set_checkpoint', 'set_local_checkpoint']


def set_checkpoint(cfg: Config, checkpoint: str) -> Config:
    """Sets the weights of the whole model, in place, and checks that they fit it.

    Args:
        cfg: Config of any model.
        checkpoint: A file or URL with a checkpoint of that model. For a classifier also a name of
            :data:`~mmst.config.named_weights.NAMED_WEIGHTS`, or a file with a linear layer that
            :func:`mmst.checkpoints.convert_checkpoint` converts, which is done in memory.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file is missing.
        UntrustedCheckpointError: Reading it would run code.
        ValueError: It is damaged, or does not fit the model.
    """
    cfg.load_from, cfg.resume = _location(cfg, checkpoint), False
    if '://' not in cfg.load_from:
        source = read_source(cfg.load_from)
        if not _is_own(cfg, source):
            _check_convertible(cfg, source)
            cfg.load_from = f'{CONVERT_SCHEME}{cfg.load_from}'
    check_evaluated(cfg, checkpoint)
    return cfg


def set_local_checkpoint(cfg: Config, checkpoint: str) -> str:
    """Does what :func:`set_checkpoint` does, and returns the path of the file.

    Raises:
        ValueError: It is no local file, or a reason of :func:`set_checkpoint`.
    """
    named = NAMED_WEIGHTS.get(checkpoint)
    location = checkpoint if named is None else named.source
    if '://' in location:
        raise ValueError(f'checkpoint must be a local file, got {location!r}; download it')
    set_checkpoint(cfg, checkpoint)
    return cfg.load_from.removeprefix(CONVERT_SCHEME)


def _location(cfg: Config, checkpoint: str) -> str:
    """A local file or a URL."""
    named = NAMED_WEIGHTS.get(checkpoint)
    if named is None:
        return checkpoint
    _check_classifier(cfg, f'{checkpoint!r} names a classifier')
    check_plain_resnet50(cfg.model.backbone, checkpoint)
    if not named.is_file:
        return f'{CONVERT_SCHEME}{named.source}'
    if not Path(named.source).is_file():
        raise FileNotFoundError(
            f'CHECKPOINT {checkpoint!r} is the file {named.source!r}, which does not exist; '
            f'{named.remedy}'
        )
    return named.source


def _is_own(cfg: Config, source: Source) -> bool:
    """Tells whether mmengine finds a whole model of OpenMMLab in a file."""
    if 'backbone' not in cfg.model:
        return True
    has_backbone = any(name.startswith('backbone.') for name in source.state_dict)
    readable = read_by_mmengine(str(source.file)) is not None
    return readable and has_backbone and source.entry in ('', 'state_dict')


def _check_classifier(cfg: Config, what: str) -> None:
    if library_of(cfg).scope != 'mmpretrain' or not cfg.model.get('head'):
        raise ValueError(
            f"CHECKPOINT must be a checkpoint of the config's {type_name(cfg.model)}, and "
            f'{what}; train one that starts from it: tools/train.py CONFIG --weights ...'
        )


def _check_convertible(cfg: Config, source: Source) -> None:
    """Raises ValueError unless a config is of the classifier that a file can be converted to."""
    file = str(source.file)
    try:
        converted = convert_source(source, to='mmpretrain')
    except ValueError as error:
        raise ValueError(
            f"CHECKPOINT must be a checkpoint of the config's {type_name(cfg.model)} or a "
            f'classifier that can be converted, got {file!r} without weights of a backbone '
            f'(backbone.*); as a classifier: {error}'
        ) from None
    _check_classifier(cfg, f'{file!r} holds a {converted.architecture.name} classifier')
