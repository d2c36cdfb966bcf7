"""``--weights``: initial weights of the backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmst.checkpoints.backbone_weights import initial_weights
from mmst.checkpoints.build import unfreezing_arguments
from mmst.checkpoints.pretrained import names_checkpoint

from .named_weights import NAMED_WEIGHTS, check_plain_resnet50
from .training import without_checkpoint

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
    backbone.update(unfreezing_arguments(cfg, backbone))


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
    return initial_weights(cfg, backbone, file)
