"""``--weights``: what the backbone starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmst.checkpoints import load_checkpoint

from .walk import names_checkpoint, type_name

__all__ = ['NAMED_WEIGHTS', 'NamedWeights', 'set_weights']


@dataclass(frozen=True)
class NamedWeights:
    """Published weights of a plain ResNet-50.

    Attributes:
        source: A file, relative to the working directory, or a URL that mmengine downloads.
        description: What they are.
        remedy: How to get the file.
    """

    source: str
    description: str
    remedy: str = ''

    @property
    def is_file(self) -> bool:
        """Whether ``source`` is a file."""
        return '://' not in self.source


NAMED_WEIGHTS = {
    'base': NamedWeights('torchvision://resnet50', "torchvision's first release (V1)"),
    'tnr': NamedWeights('torchvision://resnet50.imagenet1k_v2', "torchvision's new recipe (V2)"),
    'timm': NamedWeights(
        'checkpoints/resnet50_timm.pth',
        "timm's resnet50.a1_in1k",
        'download it with: curl -L --create-dirs -o checkpoints/resnet50_timm.pth '
        'https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights/'
        'resnet50_a1_0-14fe96d1.pth',
    ),
    'st': NamedWeights(
        'checkpoints/resnet50_st.pth',
        'ResNet-50 after stimulative pre-training',
        "convert the authors' release with: python tools/convert_checkpoint.py RELEASE "
        'checkpoints/resnet50_st.pth',
    ),
}
"""ST++ Table VI compares these four starts."""


def set_weights(cfg: Config, weights: str) -> Config:
    """Chooses the backbone's initial weights, in place.

    ``load_from`` is cleared because it would overwrite them; ``data_preprocessor`` stays.

    Args:
        cfg: Config with ``model.backbone``, plain or ``mmst.STBackbone``.
        weights: A name of :data:`NAMED_WEIGHTS`; ``'none'`` to train from scratch, which also
            unfreezes all stages and lets BatchNorm live; or a file with a backbone in the layout of
            OpenMMLab or torchvision, or with a whole model of OpenMMLab.

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
        backbone.pretrained = None
    if weights == 'none':
        _start_from_scratch(cfg, backbone)
        return cfg
    if weights in NAMED_WEIGHTS:
        _check_plain_resnet50(cfg, backbone, weights)
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
    built = _build(cfg, backbone)
    for name, live in (('frozen_stages', -1), ('norm_eval', False)):
        if getattr(built, name, live) != live:
            backbone[name] = live


def _without_pretrained(init_cfg: Any) -> list[Any] | None:
    entries = init_cfg if isinstance(init_cfg, list) else [init_cfg]
    return [entry for entry in entries if not names_checkpoint(entry)] or None


def _check_plain_resnet50(cfg: Config, backbone: ConfigDict, name: str) -> None:
    kind = backbone.wraps if type_name(backbone) == 'STBackbone' else type_name(backbone)
    depth = backbone.get('depth', 50)
    style = backbone.get('style', 'pytorch')
    found = (kind.rsplit('.', 1)[-1], depth, style)
    if found != ('ResNet', 50, 'pytorch'):
        raise ValueError(
            f"--weights {name} is for a backbone of type ResNet, depth 50, style 'pytorch', got "
            f'type {found[0]}, depth {depth}, style {style!r}; choose a config with that backbone, '
            'or give --weights a file that fits this one'
        )


def _pretrained(cfg: Config, backbone: ConfigDict, file: str, remedy: str = '') -> dict[str, Any]:
    if not Path(file).is_file():
        known = ', '.join([*NAMED_WEIGHTS, 'none'])
        remedy = remedy or f'give an existing file or one of {known}'
        raise FileNotFoundError(
            f'--weights needs the file {file!r}, which does not exist; {remedy}'
        )
    state_dict = _state_dict(file)
    whole_model = any(name.startswith('backbone.') for name in state_dict)
    if whole_model:
        state_dict = {
            name.removeprefix('backbone.'): value
            for name, value in state_dict.items()
            if name.startswith('backbone.')
        }
    else:
        state_dict = {name.removeprefix('module.'): value for name, value in state_dict.items()}
    _check_fit(_build(cfg, backbone), state_dict, file)
    prefix = {'prefix': 'backbone'} if whole_model else {}
    return dict(type='Pretrained', checkpoint=file, **prefix)


def _state_dict(file: str) -> Mapping[str, Tensor]:
    checkpoint = load_checkpoint(file)
    state_dict = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    if not any(isinstance(value, Tensor) for value in state_dict.values()):
        raise ValueError(f'--weights needs a file with a state dict, got {file!r} without one')
    return state_dict


def _check_fit(backbone: nn.Module, state_dict: Mapping[str, Tensor], file: str) -> None:
    """Raises ValueError unless all parameters are there: mmengine would only log what is not."""
    unfit = [
        f'{name} is {_shape(state_dict.get(name))}, needed {tuple(value.shape)}'
        for name, value in backbone.state_dict().items()
        if not name.endswith('num_batches_tracked')
        and _shape(state_dict.get(name)) != tuple(value.shape)
    ]
    if unfit:
        names = list(state_dict)
        raise ValueError(
            f'--weights {file!r} does not fit the backbone: {len(unfit)} of its tensors are '
            f'missing or of another shape (first: {unfit[0]}; the file starts with {names[:2]}). '
            'Choose weights of this architecture, or convert them with tools/convert_checkpoint.py'
        )


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return 'missing' if tensor is None else tuple(tensor.shape)


def _build(cfg: Config, backbone: ConfigDict) -> nn.Module:
    """Builds the backbone of a config, to see its keys and attributes."""
    scope = cfg.model.get('_scope_') or cfg.get('default_scope')
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.build({**backbone, 'init_cfg': None})
