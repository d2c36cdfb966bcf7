"""Initial weights of a backbone from a file, converted if mmengine cannot read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from torch import Tensor

from .build import build_backbone
from .convert import check_namesake, convert_source
from .model_fit import check_kind, misfit
from .safe_load import UntrustedCheckpointError, load_checkpoint
from .scheme import CONVERT_SCHEME
from .source import read_source
from .tensor_fit import try_loading

__all__ = ['initial_weights', 'read_by_mmengine']


def initial_weights(cfg: Config, backbone: ConfigDict, file: str) -> dict[str, Any]:
    """Returns the ``init_cfg`` with which a backbone gets all of its weights from a file.

    Args:
        cfg: Config of the model.
        backbone: Config of its backbone.
        file: A local file that :func:`mmst.checkpoints.convert_checkpoint` converts, or that
            mmengine reads itself.

    Raises:
        ValueError: The weights do not fit the backbone.
    """
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
    if direct is not None and not try_loading(built, direct[0]).unfilled:
        # A file that no ResNet converter knows must have nothing that this backbone lacks.
        foreign = [] if converted else _foreign_tensors(cfg, backbone, direct[0])
        if not foreign:
            return dict(type='Pretrained', checkpoint=file, **direct[1])
        if 'layer1.0.conv1.weight' not in direct[0]:
            reason = f'it has {len(foreign)} tensors that the backbone has not: {foreign[0]}, ...'
    if converted is None:
        raise misfit(reason, file)
    fit = try_loading(built, converted.state_dict)
    if fit.unfilled:
        raise misfit(
            f'{len(fit.unfilled)} of its tensors are missing or of another shape (first: '
            f'{fit.described(next(iter(fit.unfilled)))}; the file holds a '
            f'{converted.architecture.name} in the layout of {converted.layout})',
            file,
        )
    return dict(type='Pretrained', checkpoint=f'{CONVERT_SCHEME}{file}', prefix='backbone')


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


def _foreign_tensors(
    cfg: Config, backbone: ConfigDict, state_dict: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """Names of tensors that the backbone lacks, even with the blocks that ``depths`` removed."""
    whole = {name: value for name, value in backbone.items() if name != 'depths'}
    return try_loading(build_backbone(cfg, ConfigDict(whole)), state_dict).unexpected
