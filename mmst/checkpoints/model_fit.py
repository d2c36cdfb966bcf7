"""Checks that the weights in a file fit the backbone, or the whole model, of a config."""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmst.core import residual_stages

from .block_difference import block_difference, unexpected_names
from .convert import ConvertedCheckpoint
from .safe_load import UntrustedCheckpointError, load_checkpoint

__all__ = [
    'build_backbone',
    'build_model',
    'build_module',
    'check_kind',
    'check_model',
    'check_start',
    'foreign_tensors',
    'misfit',
    'missing_tensors',
    'read_by_mmengine',
]

MOST_SHOWN = 10
"""Names of tensors in a message."""

_STATISTICS = ('running_mean', 'running_var')


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

    A ResNet-101 has all those of a ResNet-50, and no tensor tells where a block strides or which
    epsilon its norm layers add. What a file does not tell is not compared.
    """
    depth, needed_depth = converted.architecture.depth, getattr(backbone, 'depth', None)
    if needed_depth not in (None, depth) and not _has_blocks(backbone, converted):
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
    eps = converted.meta['norm_eps']
    others = {layer.eps for layer in backbone.modules() if isinstance(layer, _BatchNorm)} - {eps}
    if eps is not None and others:
        raise ValueError(
            f'{argument} {file!r} is of a backbone whose BatchNorm adds an epsilon of {eps:g}, and '
            f"the config's adds {others.pop():g}; set model.backbone.norm_cfg.eps={eps:g} with "
            '--cfg-options (and norm_cfg.type=BN, if the config has no norm_cfg)'
        )


def check_model(
    model: nn.Module, checkpoint: Mapping[str, Any], file: str, argument: str = 'CHECKPOINT'
) -> None:
    """Raises ValueError unless a checkpoint fits a whole model; mmengine would only log that.

    It fits if it has all parameters and norm statistics of the model, in their shapes, and no
    further weights of the backbone. What is not trained may be missing, for it is loaded from
    elsewhere (the teacher of a distillation), but for the backbone.

    Args:
        model: The model; gets the weights.
        checkpoint: What mmengine would load.
        file: Where it is from.
        argument: What names the file.
    """
    state_dict = checkpoint.get('state_dict', checkpoint)
    loaded = OrderedDict((name.removeprefix('module.'), v) for name, v in state_dict.items())
    loaded._metadata = getattr(state_dict, '_metadata', {})  # by which layers read older versions
    try:  # mmengine does not ask a model that has a method of its own for this, either
        missing, unexpected = nn.Module.load_state_dict(model, loaded, strict=False)
    except RuntimeError as error:
        shapes = str(error).splitlines()[1:] or [str(error)]
        problem = f'{len(shapes)} tensors have another shape (first: {shapes[0].strip()})'
    else:
        missing = [name for name in missing if name in _necessary(model)]
        foreign = [n for n in unexpected if n.startswith('backbone.') and _is_weight(loaded[n])]
        if not missing and not foreign:
            return
        which, names = ('misses', missing) if missing else ('has in excess', foreign)
        problem = f'it {which} {len(names)} tensors (first: {names[0]})'
    raise ValueError(
        f'{argument} {file!r} does not fit the {type(model).__name__} of the config: {problem}; '
        'give the config that it was trained with'
    )


def check_start(model: nn.Module, checkpoint: Mapping[str, Any], file: str) -> None:
    """Raises ValueError if a run with ``load_from`` would begin with another model's weights.

    Heads may differ, as where a detector is fine-tuned for other classes: what stays random is
    logged as a warning. The backbone (in a model that has none: all of it) may not: it must get at
    least half of its weights, something in each of its blocks, and the file may not have more of
    them.

    Args:
        model: The model; gets the weights.
        checkpoint: What mmengine would load.
        file: Where it is from.
    """
    necessary = _necessary(model)
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    sizes = {name: own[name].numel() for name in sorted(necessary & own.keys())}
    empty, unexpected = _try_loading(model, own, checkpoint)
    left = [name for name in sizes if name in empty]
    backbone = [name for name in sizes if 'backbone' in name.split('.')]
    part = backbone or list(sizes)
    unfilled = [name for name in part if name in empty]
    missing = sum(sizes[name] for name in unfilled) / sum(sizes[name] for name in part)
    if missing > 0.5:
        raise ValueError(
            f'load_from {file!r} is of another model: it would leave {missing:.0%} of the '
            f'{"backbone" if backbone else type(model).__name__} of the config random (first: '
            f'{unfilled[0]}); give a checkpoint of this model, or start the backbone alone: '
            '--weights FILE'
        )
    if difference := _block_difference(model, set(sizes), set(left), unexpected):
        raise ValueError(
            f'load_from {file!r} is of another model: it {difference}; give a checkpoint of '
            'this model, or set the architecture of the backbone to that of the file'
        )
    if left:
        shown = ', '.join(left[:MOST_SHOWN]) + (', ...' if len(left) > MOST_SHOWN else '')
        print_log(
            f'load_from {file!r} leaves {len(left)} of {len(sizes)} tensors of the '
            f'{type(model).__name__} of the config random, which it lacks or has in other shapes: '
            f'{shown}',
            logger='current',
            level=logging.WARNING,
        )


def _try_loading(
    model: nn.Module, own: Mapping[str, Tensor], checkpoint: Mapping[str, Any]
) -> tuple[set[str], set[str]]:
    """Names of a model's tensors that mmengine would not load, and those it has no place for.

    Layers and models rename and resize what they load, so this is tried and not compared.
    """
    tensors = {name: tensor for name, tensor in own.items() if tensor.is_floating_point()}
    for tensor in tensors.values():
        tensor.data.fill_(torch.nan)
    state_dict = checkpoint.get('state_dict', checkpoint)
    loaded = OrderedDict((name.removeprefix('module.'), v) for name, v in state_dict.items())
    loaded._metadata = getattr(state_dict, '_metadata', {})
    with unexpected_names(model) as unexpected:
        load_state_dict(model, loaded, strict=False, logger='silent')
    empty = {n for n, tensor in tensors.items() if tensor.numel() and tensor.isnan().all()}
    return empty, unexpected


def _block_difference(
    model: nn.Module, needed: set[str], unfilled: set[str], unexpected: set[str]
) -> str:
    """Compares the blocks of each backbone of a model, such as ``student.backbone``."""
    for path, module in model.named_modules():
        parents = path.split('.')
        if parents.pop() == 'backbone' and 'backbone' not in parents:
            own = (
                {name.removeprefix(f'{path}.') for name in names if name.startswith(f'{path}.')}
                for names in (needed, unfilled, unexpected)
            )
            if difference := block_difference(module, *own):
                return difference
    return ''


def _has_blocks(backbone: nn.Module, converted: ConvertedCheckpoint) -> bool:
    """Whether a file has just the blocks of a backbone, such as an exported subnet's."""
    blocks = tuple(len(stage) for stage in residual_stages(backbone))
    return blocks == converted.architecture.blocks


def _necessary(model: nn.Module) -> set[str]:
    """Parameters and norm statistics that no initial value can stand in for."""
    names = set()
    for prefix, module in model.named_modules():
        own = dict(module.named_parameters(prefix, recurse=False))
        trained = {name for name, parameter in own.items() if parameter.requires_grad}
        statistics = {
            name
            for name, _ in module.named_buffers(prefix, recurse=False)
            if name.endswith(_STATISTICS)
        }
        if f'{prefix}.'.startswith('backbone.'):
            names |= own.keys() | statistics
        elif trained or not own:
            names |= trained | statistics
    return names


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return 'missing' if tensor is None else tuple(tensor.shape)


def build_backbone(cfg: Config, backbone: ConfigDict) -> nn.Module:
    """Builds the backbone of a config, to see its keys and attributes."""
    return build_module(cfg, {**backbone, 'init_cfg': None})


def build_model(cfg: Config) -> nn.Module:
    """Builds the model of a config, to try whether weights fit it."""
    preprocessor = cfg.get('data_preprocessor')
    defaults = {} if preprocessor is None else {'data_preprocessor': preprocessor}
    return build_module(cfg, {**defaults, **cfg.model})


def build_module(cfg: Config, module: Mapping[str, Any]) -> nn.Module:
    """Builds a part of the model of a config as the model would."""
    scope = cfg.model.get('_scope_') or cfg.get('default_scope')
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.build(ConfigDict(copy.deepcopy(module)))
