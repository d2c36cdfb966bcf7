"""Conversion of a ResNet file of any library to OpenMMLab's format."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from torch import Tensor

from mmst.version import __version__

from .architecture import ResNetArchitecture, check_tensors, check_values, read_architecture
from .config_text import backbone_settings
from .layouts import find_layouts, to_openmmlab
from .source import Source, read_source
from .write import file_sha256

__all__ = [
    'TARGETS',
    'ConvertedCheckpoint',
    'check_namesake',
    'convert_checkpoint',
    'convert_source',
]

TARGETS = ('backbone', 'mmpretrain')
# Networks of timm that compute something else with the keys and shapes of a plain ResNet.
_NAMESAKES = {'resnetaa': 'averages before it strides', 'resnetblur': 'blurs before it strides'}
_EPS = 1e-5  # of BatchNorm, in all these libraries
_USUAL = {  # other settings of a config that leave the tensors as they are
    'strides': (1, 2, 2, 2),
    'dilations': (1, 1, 1, 1),
    'contract_dilation': False,
    'multi_grid': None,
}


@dataclass(frozen=True)
class ConvertedCheckpoint:
    """A ResNet with OpenMMLab's keys.

    Attributes:
        state_dict: Bare backbone keys, or ``backbone.*`` and ``head.fc.*``.
        meta: What to write beside it: source, layout, architecture, date, version.
        layouts: Layout of the source, or the several that have its keys with the same meaning.
        architecture: Architecture of the backbone.
        to: One of :data:`TARGETS`.
        left_out: What of the source is not in ``state_dict``: names -> why.
    """

    state_dict: dict[str, Tensor]
    meta: dict[str, Any]
    layouts: tuple[str, ...]
    architecture: ResNetArchitecture
    to: str
    left_out: dict[str, str]

    @property
    def layout(self) -> str:
        """Layout of the source in words: ``'torchvision or timm'``."""
        return _in_words(self.layouts)


def convert_checkpoint(
    file: str | PathLike[str], layout: str = 'auto', to: str = 'auto', entry: str | None = None
) -> ConvertedCheckpoint:
    """Reads a ResNet of any supported layout and checks every key and shape of its backbone.

    Args:
        file: A local file: ``.pth``, ``.pt``, ``.tar``, ``.bin``, ``.safetensors``.
        layout: ``'reference'`` (the authors' release), ``'torchvision'``, ``'timm'``,
            ``'openmmlab'``, or ``'auto'`` to tell it by the keys.
        to: ``'backbone'``; ``'mmpretrain'``, which has the linear layer, too; or ``'auto'``:
            mmpretrain if there is a linear layer.
        entry: Entry of the file that holds the weights, where there are several.

    Returns:
        The converted checkpoint, in the dtypes of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The file needs a package that is not installed.
        UntrustedCheckpointError: Reading the file would run code.
        ValueError: The file is damaged, or holds no ResNet that OpenMMLab has.
    """
    source = read_source(file, entry)
    try:
        return convert_source(source, layout, to)
    except ValueError as error:
        raise ValueError(f'{str(file)!r}: {error}') from error


def convert_source(source: Source, layout: str = 'auto', to: str = 'auto') -> ConvertedCheckpoint:
    """Same as :func:`convert_checkpoint`, for a file that was read."""
    if to not in ('auto', *TARGETS):
        raise ValueError(f'to must be auto, {", ".join(TARGETS)}, got {to!r}')
    layouts = find_layouts(source.state_dict, layout)
    check_namesake(source)
    renamed = to_openmmlab(source.state_dict, layouts)
    backbone = {
        name.removeprefix('backbone.'): value
        for name, value in renamed.items()
        if name.startswith('backbone.')
    }
    architecture = read_architecture(backbone)
    check_tensors(backbone, architecture)
    linear = _linear(renamed, architecture)
    if to == 'mmpretrain' and not linear:
        raise ValueError(
            "to='mmpretrain' needs a linear layer (fc, or head.fc in OpenMMLab), and there is "
            "none; use --to backbone (to='backbone')"
        )
    to = to if to != 'auto' else 'mmpretrain' if linear else 'backbone'
    kept = {**{f'backbone.{name}': value for name, value in backbone.items()}, **linear}
    check_values(kept)
    return ConvertedCheckpoint(
        # Copies, because torch.save writes the whole storage of a view.
        state_dict={
            name: value.detach().clone()
            for name, value in (kept if to == 'mmpretrain' else backbone).items()
        },
        meta=_meta(source, layouts, architecture, to),
        layouts=layouts,
        architecture=architecture,
        to=to,
        left_out=_left_out(source, layouts, renamed, linear, to),
    )


def _linear(renamed: Mapping[str, Tensor], architecture: ResNetArchitecture) -> dict[str, Tensor]:
    """The linear layer, which must fit the backbone; empty if there is none."""
    linear = {name: value for name, value in renamed.items() if name.startswith('head.fc.')}
    if not linear:
        return {}
    shapes = {name.removeprefix('head.fc.'): tuple(value.shape) for name, value in linear.items()}
    weight = shapes.get('weight', ())
    if (
        len(weight) != 2
        or weight[1] != architecture.out_channels
        or shapes != {'weight': weight, 'bias': weight[:1]}
    ):
        raise ValueError(
            f'the linear layer must have a weight of (classes, {architecture.out_channels}) and a '
            f'bias of (classes,) for a {architecture.name}, got {shapes}'
        )
    return linear


def _left_out(
    source: Source,
    layouts: tuple[str, ...],
    renamed: Mapping[str, Tensor],
    linear: Mapping[str, Tensor],
    to: str,
) -> dict[str, str]:
    groups = Counter(
        name.split('.')[0]
        for name in renamed
        if not name.startswith('backbone.') and name not in linear
    )
    left = {f'{name}.*': f'{count} tensors, not of the backbone' for name, count in groups.items()}
    if linear and to == 'backbone':
        names: dict[tuple[str, ...], str] = {
            ('reference',): 'classifier.*',
            ('openmmlab',): 'head.fc.*',
        }
        left[names.get(layouts, 'fc.*')] = (
            f'{len(linear)} tensors, the linear layer; --to mmpretrain keeps it'
        )
    return {**left, **dict.fromkeys(source.others, 'beside the weights')}


def _meta(
    source: Source, layouts: tuple[str, ...], architecture: ResNetArchitecture, to: str
) -> dict[str, Any]:
    told = _told(source, layouts)
    if not architecture.bottleneck:
        told.pop('style', None)
    eps = told.pop('norm_eps', None)
    eps = eps if isinstance(eps, int | float) else None
    return {
        'source': source.file.name,
        **({'source_sha256': file_sha256(source.file)} if source.file.is_file() else {}),
        'layout': _in_words(layouts),
        'architecture': architecture.name,
        'backbone': {
            **architecture.config('width_per_group' if to == 'mmpretrain' else 'base_width'),
            **told,
            **({} if eps in (None, _EPS) else {'norm_cfg': {'type': 'BN', 'eps': eps}}),
        },
        'norm_eps': eps,
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d'),
        'mmst_version': __version__,
    }


def _in_words(layouts: tuple[str, ...]) -> str:
    return ' or '.join(layouts)


def _told(source: Source, layouts: tuple[str, ...]) -> dict[str, Any]:
    """Known settings of the backbone that its weights do not show; unknown ones are missing.

    Its ``style`` (where a block strides), strides and dilations if they are not the usual ones, and
    ``norm_eps``. OpenMMLab's runners save the text of the config. Without that, published backbones
    of style caffe are called so, or ``msra``.
    """
    if 'openmmlab' not in layouts:
        return {'style': 'pytorch', 'norm_eps': _EPS}
    ours = source.meta.get('backbone')  # of a file that was converted before
    if isinstance(ours, Mapping):
        told = {key: ours[key] for key in ('style', *_USUAL) if key in ours}
        return {**told, 'norm_eps': source.meta.get('norm_eps')}
    settings = backbone_settings(source.meta)
    if settings is None:
        named = re.search('caffe|msra', source.file.name.lower())
        return {'style': 'caffe'} if named else {}
    norm = settings.get('norm_cfg')
    found = {key: settings.get(key) or usual for key, usual in _USUAL.items()}
    found = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
    return {
        'style': settings.get('style') or 'pytorch',
        **{key: value for key, value in found.items() if value != _USUAL[key]},
        'norm_eps': norm.get('eps', _EPS) if isinstance(norm, Mapping) else _EPS,
    }


def check_namesake(source: Source) -> None:
    """Raises ValueError if a file names a network that its keys do not show."""
    names = [source.file.name, str(source.meta.get('arch', ''))]
    beside = source.file.with_name('config.json')  # as the Hugging Face hub has it for timm
    if source.file.suffix == '.safetensors' and beside.is_file():
        with contextlib.suppress(ValueError, AttributeError):  # somebody else's file
            names.append(str(json.loads(beside.read_text()).get('architecture', '')))
    for name in names:
        for namesake, difference in _NAMESAKES.items():
            if namesake in name.lower():
                raise ValueError(
                    f"{name!r} names timm's {namesake}, which has the keys and shapes of a plain "
                    f'ResNet but {difference}; OpenMMLab has no such network. If it is a plain '
                    'ResNet, rename the file'
                )
