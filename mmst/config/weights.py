"""``--weights``: what the backbone starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmst.checkpoints import (
    CONVERT_SCHEME,
    ConvertedCheckpoint,
    UntrustedCheckpointError,
    check_namesake,
    convert_source,
    load_checkpoint,
    read_source,
)

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
    if not Path(file).exists():
        known = ', '.join([*NAMED_WEIGHTS, 'none'])
        remedy = remedy or f'give an existing file or one of {known}'
        raise FileNotFoundError(
            f'--weights needs the file {file!r}, which does not exist; {remedy}'
        )
    built = _build(cfg, backbone)
    converted, reason = None, ''
    source = read_source(file)
    check_namesake(source)
    try:
        converted = convert_source(source, to='backbone')
    except ValueError as error:
        reason = str(error)
    if converted is not None:
        _check_kind(built, converted, file)
    direct = _read_by_mmengine(file)
    if direct is not None and not _unfit(built, direct[0]):
        return dict(type='Pretrained', checkpoint=file, **direct[1])
    if converted is None:
        raise _misfit(reason, file)
    if unfit := _unfit(built, converted.state_dict):
        raise _misfit(
            f'{len(unfit)} of its tensors are missing or of another shape (first: {unfit[0]}; '
            f'the file holds a {converted.architecture.name} in the layout of {converted.layout})',
            file,
        )
    return dict(type='Pretrained', checkpoint=f'{CONVERT_SCHEME}{file}')


def _read_by_mmengine(file: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The backbone that mmengine itself finds in a file, and the ``prefix`` it needs for that."""
    if file.endswith('.safetensors'):
        return None
    try:
        checkpoint = load_checkpoint(file)
    except UntrustedCheckpointError:  # with a command line in it, which read_source lets pass
        return None
    state_dict = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    whole = {
        name.removeprefix('backbone.'): value
        for name, value in state_dict.items()
        if name.startswith('backbone.')
    }
    if whole:
        return whole, {'prefix': 'backbone'}
    return {name.removeprefix('module.'): value for name, value in state_dict.items()}, {}


def _unfit(backbone: nn.Module, state_dict: Mapping[str, Tensor]) -> list[str]:
    """What the backbone would not receive: mmengine would only log that."""
    return [
        f'{name} is {_shape(state_dict.get(name))}, needed {tuple(value.shape)}'
        for name, value in backbone.state_dict().items()
        if not name.endswith('num_batches_tracked')
        and _shape(state_dict.get(name)) != tuple(value.shape)
    ]


def _misfit(reason: str, file: str) -> ValueError:
    return ValueError(
        f'--weights {file!r} does not fit the backbone: {reason}. Choose weights of this '
        'architecture; tools/convert_checkpoint.py tells what a file holds'
    )


def _check_kind(backbone: nn.Module, converted: ConvertedCheckpoint, file: str) -> None:
    """Raises ValueError for differences that the tensors a backbone needs do not show.

    A ResNet-101 has all those of a ResNet-50, and no tensor tells where a block strides.
    """
    depth, needed_depth = converted.architecture.depth, getattr(backbone, 'depth', None)
    if needed_depth not in (None, depth):
        raise _misfit(
            f'it holds a {converted.architecture.name}, and the config has depth {needed_depth}',
            file,
        )
    style, needed = converted.meta['backbone'].get('style'), getattr(backbone, 'style', None)
    if style and needed and style != needed:
        raise ValueError(
            f'--weights {file!r} is of a backbone of style {style!r} (where a block strides), and '
            f'the config has style {needed!r}; set model.backbone.style={style} with --cfg-options'
        )


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return 'missing' if tensor is None else tuple(tensor.shape)


def _build(cfg: Config, backbone: ConfigDict) -> nn.Module:
    """Builds the backbone of a config, to see its keys and attributes."""
    scope = cfg.model.get('_scope_') or cfg.get('default_scope')
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.build({**backbone, 'init_cfg': None})
