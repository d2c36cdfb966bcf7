"""The checkpoint that a tool evaluates, takes apart, or lets a training start from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmst.checkpoints import (
    CONVERT_SCHEME,
    ConvertedCheckpoint,
    Source,
    convert_source,
    read_source,
    safe_loading,
    source_of,
)
from mmst.checkpoints.model_fit import (
    build_model,
    check_kind,
    check_model,
    check_start,
    read_by_mmengine,
)

from .library import library_of
from .named_weights import NAMED_WEIGHTS, check_plain_resnet50
from .traversal import type_name

__all__ = ['check_loaded', 'set_checkpoint']


def set_checkpoint(cfg: Config, checkpoint: str) -> Config:
    """Chooses the weights of the whole model, in place, and tries whether they fit it.

    Args:
        cfg: Config of any model.
        checkpoint: A file or URL with a checkpoint of that model. For a classifier also a name of
            :data:`~mmst.config.NAMED_WEIGHTS`, or a file with a linear layer that
            :func:`mmst.checkpoints.convert_checkpoint` converts, which is done in memory.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file is missing.
        UntrustedCheckpointError: Reading it would run code.
        ValueError: It is damaged, or does not fit the model.
    """
    cfg.load_from, cfg.resume = _location(cfg, checkpoint), False
    converted = None
    is_local = '://' not in cfg.load_from
    if is_local:
        source = read_source(cfg.load_from)
        if _is_own(cfg, source):
            converted = _as_resnet(source)
        else:
            converted = _as_classifier(cfg, source)
            cfg.load_from = f'{CONVERT_SCHEME}{cfg.load_from}'
    with safe_loading(checkpoint):
        content = CheckpointLoader.load_checkpoint(cfg.load_from, map_location='cpu')
    if not is_local:
        converted = _as_resnet(source_of(content, cfg.load_from))
    model = build_model(cfg)
    if converted is not None and hasattr(model, 'backbone'):
        check_kind(model.backbone, converted, 'CHECKPOINT', checkpoint)
    check_model(model, content, checkpoint)
    return cfg


def check_loaded(cfg: Config, file: str, checkpoint: Any, argument: str) -> None:
    """Checks that a training starts from weights of its own model.

    Args:
        cfg: Config of a training.
        file: A file or URL.
        checkpoint: What mmengine will read from there.
        argument: What names it: ``'load_from'``, where heads may differ, or ``'--resume'``.

    Raises:
        ValueError: The weights are another model's, or there are none.
    """
    is_dict = isinstance(checkpoint, Mapping)
    weights = checkpoint.get('state_dict', checkpoint) if is_dict else checkpoint
    meta = checkpoint.get('meta') if is_dict else None
    converted = _as_resnet(source_of(weights, file, meta=meta))
    model = build_model(cfg)
    if converted is not None and hasattr(model, 'backbone'):
        check_kind(model.backbone, converted, argument, file)
    if argument == 'load_from':
        check_start(model, checkpoint, file)
    else:
        check_model(model, checkpoint, file, argument)


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
    """Whether mmengine finds a whole model of OpenMMLab in a file."""
    if 'backbone' not in cfg.model:
        return True
    has_backbone = any(name.startswith('backbone.') for name in source.state_dict)
    readable = read_by_mmengine(str(source.file)) is not None
    return readable and has_backbone and source.entry in ('', 'state_dict')


def _as_resnet(source: Source) -> ConvertedCheckpoint | None:
    with suppress(ValueError):
        return convert_source(source, to='backbone')
    return None


def _check_classifier(cfg: Config, what: str) -> None:
    if library_of(cfg).scope != 'mmpretrain' or not cfg.model.get('head'):
        raise ValueError(
            f"CHECKPOINT must be a checkpoint of the config's {type_name(cfg.model)}, and "
            f'{what}; train one that starts from it: tools/train.py CONFIG --weights ...'
        )


def _as_classifier(cfg: Config, source: Source) -> ConvertedCheckpoint:
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
    return converted
