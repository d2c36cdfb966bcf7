"""Whether the weights in a file fit the backbone of a config."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmst.checkpoints import ConvertedCheckpoint, UntrustedCheckpointError, load_checkpoint

__all__ = [
    'build_backbone',
    'check_kind',
    'foreign_tensors',
    'misfit',
    'missing_tensors',
    'read_by_mmengine',
]


def read_by_mmengine(file: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
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


def missing_tensors(backbone: nn.Module, state_dict: Mapping[str, Tensor]) -> list[str]:
    """What the backbone would not receive: mmengine would only log that."""
    return [
        f'{name} is {_shape(state_dict.get(name))}, needed {tuple(value.shape)}'
        for name, value in backbone.state_dict().items()
        if not name.endswith('num_batches_tracked')
        and _shape(state_dict.get(name)) != tuple(value.shape)
    ]


def foreign_tensors(
    cfg: Config, backbone: ConfigDict, state_dict: Mapping[str, Tensor]
) -> list[str]:
    """Names of what the backbone has not, not even where ``depths`` left blocks out."""
    whole = {name: value for name, value in backbone.items() if name != 'depths'}
    known = build_backbone(cfg, ConfigDict(whole)).state_dict()
    return [
        name
        for name in state_dict
        if name not in known and not name.endswith('num_batches_tracked')
    ]


def misfit(reason: str, file: str, argument: str = '--weights') -> ValueError:
    """Makes the error for a file that does not fit."""
    return ValueError(
        f'{argument} {file!r} does not fit the backbone: {reason}. Choose weights of this '
        'architecture; tools/convert_checkpoint.py tells what a file holds'
    )


def check_kind(
    backbone: nn.Module, converted: ConvertedCheckpoint, argument: str, file: str
) -> None:
    """Raises ValueError for differences that the tensors a backbone needs do not show.

    A ResNet-101 has all those of a ResNet-50, and no tensor tells where a block strides.
    """
    depth, needed_depth = converted.architecture.depth, getattr(backbone, 'depth', None)
    if needed_depth not in (None, depth):
        raise misfit(
            f'it holds a {converted.architecture.name}, and the config has depth {needed_depth}',
            file,
            argument,
        )
    style, needed = converted.meta['backbone'].get('style'), getattr(backbone, 'style', None)
    if style and needed and style != needed:
        raise ValueError(
            f'{argument} {file!r} is of a backbone of style {style!r} (where a block strides), and '
            f'the config has style {needed!r}; set model.backbone.style={style} with --cfg-options'
        )


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return 'missing' if tensor is None else tuple(tensor.shape)


def build_backbone(cfg: Config, backbone: ConfigDict) -> nn.Module:
    """Builds the backbone of a config, to see its keys and attributes."""
    scope = cfg.model.get('_scope_') or cfg.get('default_scope')
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.build({**backbone, 'init_cfg': None})
