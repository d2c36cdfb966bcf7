"""``--weights``: initial weights of the backbone."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmst.checkpoints import CONVERT_SCHEME, check_namesake, convert_source, read_source
from mmst.checkpoints.model_fit import (
    build_backbone,
    check_kind,
    foreign_tensors,
    misfit,
    missing_tensors,
    read_by_mmengine,
)

from .named_weights import NAMED_WEIGHTS, check_plain_resnet50
from .training import without_checkpoint
from .traversal import names_checkpoint

__all__ = ['set_weights']


def set_weights(cfg: Config, weights: str) -> Config:
    """Chooses the backbone's initial weights, in place.

    ``load_from`` is cleared because it would overwrite them; ``data_preprocessor`` stays.

    Args:
        cfg: Config with ``model.backbone``, plain or ``mmst.STBackbone``.
        weights: A name of :data:`NAMED_WEIGHTS`; ``'none'`` to train from scratch, which also
            unfreezes all stages and lets BatchNorm live; or a file that
            :func:`mmst.checkpoints.convert_checkpoint` converts, or that mmengine reads itself.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The config has no backbone, or the weights do not fit it.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    if backbone is None:
        raise ValueError('--weights needs a config with model.backbone, got none')
    if 'pretrained' in cfg.model:
        cfg.model.pretrained = None  # mmseg's and mmpretrain's older way to name a checkpoint
    cfg.load_from = None
    for part in (cfg.model, backbone):  # the model's would be loaded over the backbone's
        if part.get('init_cfg'):
            part.init_cfg = _without_pretrained(part.init_cfg)
    if backbone.get('pretrained') is not None:
        backbone.pretrained = without_checkpoint(backbone.pretrained)
    if weights == 'none':
        _start_from_scratch(cfg, backbone)
        return cfg
    if weights in NAMED_WEIGHTS:
        check_plain_resnet50(backbone, weights)
        named = NAMED_WEIGHTS[weights]
        backbone.init_cfg = (
            _pretrained(cfg, backbone, named.source, named.remedy)
            if named.is_file
            else dict(type='Pretrained', checkpoint=named.source)
        )
    else:
        backbone.init_cfg = _pretrained(cfg, backbone, weights)
    return cfg


def _start_from_scratch(cfg: Config, backbone: ConfigDict) -> None:
    backbone.setdefault('init_cfg', None)
    if 'norm_cfg' in backbone and not backbone.norm_cfg.get('requires_grad', True):
        backbone.norm_cfg.requires_grad = True
    built = build_backbone(cfg, backbone)
    # Without a frozen stage is -1 in ResNets, 0 in EfficientNets: the default.
    unfrozen = _default(type(built), 'frozen_stages')
    for name, live in (('frozen_stages', unfrozen), ('norm_eval', False)):
        if getattr(built, name, live) != live:
            backbone[name] = live


def _default(cls: type, argument: str) -> Any:
    """Default of an argument of a class, or of the first of its parents that has it."""
    for parent in cls.__mro__:
        parameter = inspect.signature(parent.__init__).parameters.get(argument)
        if parameter is not None:
            return parameter.default
    return None


def _without_pretrained(init_cfg: Any) -> list[Any] | None:
    entries = init_cfg if isinstance(init_cfg, list) else [init_cfg]
    return [entry for entry in entries if not names_checkpoint(entry)] or None


def _pretrained(cfg: Config, backbone: ConfigDict, file: str, remedy: str = '') -> dict[str, Any]:
    if '://' in file:
        raise ValueError(f'--weights must name a local file, got {file!r}; download it')
    if not Path(file).exists():
        known = ', '.join([*NAMED_WEIGHTS, 'none'])
        remedy = remedy or f'give an existing file or one of {known}'
        raise FileNotFoundError(
            f'--weights needs the file {file!r}, which does not exist; {remedy}'
        )
    built = build_backbone(cfg, backbone)
    converted, reason = None, ''
    source = read_source(file)
    check_namesake(source)
    try:
        converted = convert_source(source, to='backbone')
    except ValueError as error:
        reason = str(error)
    if converted is not None:
        check_kind(built, converted, '--weights', file)
    direct = read_by_mmengine(file)
    if direct is not None and not missing_tensors(built, direct[0]):
        # What no ResNet converter knows must have nothing that this backbone has not.
        foreign = [] if converted else foreign_tensors(cfg, backbone, direct[0])
        if not foreign:
            return dict(type='Pretrained', checkpoint=file, **direct[1])
        if 'layer1.0.conv1.weight' not in direct[0]:
            reason = f'it has {len(foreign)} tensors that the backbone has not: {foreign[0]}, ...'
    if converted is None:
        raise misfit(reason, file)
    if unfit := missing_tensors(built, converted.state_dict):
        raise misfit(
            f'{len(unfit)} of its tensors are missing or of another shape (first: {unfit[0]}; '
            f'the file holds a {converted.architecture.name} in the layout of {converted.layout})',
            file,
        )
    return dict(type='Pretrained', checkpoint=f'{CONVERT_SCHEME}{file}', prefix='backbone')
