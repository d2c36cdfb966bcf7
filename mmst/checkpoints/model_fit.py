"""Checks that the weights in a file fit the backbone, or the whole model, of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmst.core import residual_stages

from .backbones import outermost_backbones
from .block_difference import block_difference
from .convert import ConvertedCheckpoint
from .tensor_fit import STATISTICS, try_loading, warn_of_random_tensors

__all__ = ['check_kind', 'check_model', 'check_start', 'misfit']


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
    fit, necessary = try_loading(model, checkpoint), _necessary(model)
    missing = [name for name in fit.missing if name in necessary]
    excess = [name for name in fit.unexpected if name.startswith('backbone.')]
    if fit.reshaped:
        first = fit.described(fit.reshaped[0])
        problem = f'{len(fit.reshaped)} tensors have another shape (first: {first})'
    elif missing or excess:
        which, names = ('misses', missing) if missing else ('has in excess', excess)
        problem = f'it {which} {len(names)} tensors (first: {names[0]})'
    else:
        return
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
    fit = try_loading(model, checkpoint)
    names = sorted(_necessary(model) & fit.needed.keys())
    left = [name for name in names if name in fit.unfilled]
    backbone = [name for name in names if 'backbone' in name.split('.')]
    part = backbone or names
    unfilled = [name for name in part if name in fit.unfilled]
    missing = fit.share(unfilled) / fit.share(part)
    if missing > 0.5:
        raise ValueError(
            f'load_from {file!r} is of another model: it would leave {missing:.0%} of the '
            f'{"backbone" if backbone else type(model).__name__} of the config random (first: '
            f'{unfilled[0]}); give a checkpoint of this model, or start the backbone alone: '
            '--weights FILE'
        )
    if difference := _block_difference(model, set(names), set(left), set(fit.unexpected)):
        raise ValueError(
            f'load_from {file!r} is of another model: it {difference}; give a checkpoint of '
            'this model, or set the architecture of the backbone to that of the file'
        )
    owner = f'{type(model).__name__} of the config'
    warn_of_random_tensors(f'load_from {file!r}', left, len(names), owner)


def _block_difference(
    model: nn.Module, needed: set[str], unfilled: set[str], unexpected: set[str]
) -> str:
    """Compares the blocks of each backbone of a model, such as ``student.backbone``."""
    for path, backbone in outermost_backbones(model).items():
        own = (
            {name.removeprefix(f'{path}.') for name in names if name.startswith(f'{path}.')}
            for names in (needed, unfilled, unexpected)
        )
        if difference := block_difference(backbone, *own):
            return difference
    return ''


def _has_blocks(backbone: nn.Module, converted: ConvertedCheckpoint) -> bool:
    """Tells whether a file has just the blocks of a backbone, such as an exported subnet's."""
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
            if name.endswith(STATISTICS)
        }
        if f'{prefix}.'.startswith('backbone.'):
            names |= own.keys() | statistics
        elif trained or not own:
            names |= trained | statistics
    return names
