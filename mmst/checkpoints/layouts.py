"""Tensor names of a ResNet in other libraries, and their names in OpenMMLab.

Three forms are told apart by their keys, and they stand for four layouts:

* ``features.{block}.body.{i}``: the authors' release.
* ``backbone.*`` beside heads and necks: a whole model of OpenMMLab.
* ``conv1``, ``layer1.0.conv1``: the bare backbone of OpenMMLab, or a ResNet of torchvision or timm.
  If it has an ``fc``, it is not OpenMMLab's. The names mean the same in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from .reference_layout import is_reference_layout, to_mmpretrain

__all__ = ['LAYOUTS', 'find_layouts', 'to_openmmlab']

LAYOUTS = ('reference', 'torchvision', 'timm', 'openmmlab')
"""``reference`` is the layout of the authors' release."""

_WHOLE_MODEL = re.compile(r'backbone\.(?!body\.)')  # `backbone.body` is a detector of torchvision
_BARE = re.compile(r'(conv1|bn1|stem|layer\d)\.')
_SEGMENTER_OF_TORCHVISION = ('classifier.', 'aux_classifier.')


def find_layouts(state_dict: Mapping[str, Tensor], layout: str = 'auto') -> tuple[str, ...]:
    """Finds the layout of a state dict from its keys.

    Args:
        state_dict: State dict, without the prefix of a wrapper.
        layout: One of :data:`LAYOUTS` to accept no other, or ``'auto'``.

    Returns:
        The layout, or the several that have the same keys with the same meaning.

    Raises:
        ValueError: The layout is not known, not the given one, or not the only one.
    """
    if layout not in ('auto', *LAYOUTS):
        raise ValueError(f'layout must be auto, {", ".join(LAYOUTS)}, got {layout!r}')
    forms = _forms(state_dict)
    if layout != 'auto':
        if not any(layout in found for found in forms):
            raise ValueError(
                f'layout {layout!r} is not that of the file, which {_described(forms, state_dict)}'
                "; leave --layout out to detect it, or name the file's layout"
            )
        return (layout,)
    if len(forms) != 1:
        raise ValueError(
            "layout must be one of the authors' release, torchvision, timm or OpenMMLab, and "
            f'the file {_described(forms, state_dict)}'
            + ('; choose the one to take: tools/convert_checkpoint.py --layout' if forms else '')
        )
    return forms[0]


def to_openmmlab(state_dict: Mapping[str, Tensor], layouts: tuple[str, ...]) -> dict[str, Tensor]:
    """Renames a state dict to ``backbone.*`` and ``head.fc.*``; nothing is dropped.

    Args:
        state_dict: State dict, without the prefix of a wrapper.
        layouts: As returned by :func:`find_layouts`.
    """
    if layouts == ('reference',):
        return to_mmpretrain(state_dict)
    if 'openmmlab' in layouts and any(map(_WHOLE_MODEL.match, state_dict)):
        return dict(state_dict)
    return {
        f'head.{name}' if name.startswith('fc.') else f'backbone.{name}': value
        for name, value in state_dict.items()
    }


def _forms(keys: Iterable[str]) -> list[tuple[str, ...]]:
    """Possible layouts for each form of keys in the state dict."""
    keys = list(keys)
    forms: list[tuple[str, ...]] = []
    if is_reference_layout(keys):
        forms.append(('reference',))
    if any(map(_WHOLE_MODEL.match, keys)) and not any(
        key.startswith(_SEGMENTER_OF_TORCHVISION) for key in keys
    ):
        forms.append(('openmmlab',))
    if any(map(_BARE.match, keys)):
        has_linear = any(key.startswith('fc.') for key in keys)
        forms.append(('torchvision', 'timm') if has_linear else LAYOUTS[1:])
    return forms


def _described(forms: list[tuple[str, ...]], keys: Iterable[str]) -> str:
    shown = ', '.join(map(repr, list(keys)[:3]))
    if not forms:
        return f'starts with the keys {shown}, which are of none of them'
    return f'has the keys of {", and of ".join(" or ".join(form) for form in forms)}'
