"""Copies of data samples that share what nothing changes in place.

``copy.deepcopy`` takes five times as long.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

__all__ = ['copy_value', 'map_fields', 'metainfo_of']

_ARRAYS = frozenset([Tensor, np.ndarray])


def map_fields(
    element: BaseDataElement, metainfo: Mapping[str, Any], convert: Callable[[str, Any], Any]
) -> BaseDataElement:
    """Returns a new element of the same class with converted fields.

    Args:
        element: The element, which is not modified.
        metainfo: Metainfo of the new one. Its values are shared, but for arrays, which code may
            change in place where it replaces anything else.
        convert: Maps the name and the value of a field to its new value.
    """
    result = type(element)()
    own = vars(result)
    # set_metainfo without its copy, which for the raw annotations of mmpose takes longer than
    # everything else here.
    result._metainfo_fields.update(metainfo)
    own.update(metainfo)
    for name, value in metainfo.items():
        if type(value) in _ARRAYS:
            own[name] = copy_value(value)
    for name in sorted(element.keys()):
        setattr(result, name, convert(name, getattr(element, name)))
    return result


def metainfo_of(element: BaseDataElement) -> dict[str, Any]:
    """Returns the metainfo of an element, three times as fast as its own property."""
    own = vars(element)
    return {name: own[name] for name in element._metainfo_fields}


def copy_value(value: Any) -> Any:
    """Copies a batch of data samples, one of them, or a field of one."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, BaseDataElement):
        return map_fields(value, metainfo_of(value), _copy_field)
    if type(value) in (list, tuple):
        return type(value)(map(copy_value, value))
    return copy.deepcopy(value)


def _copy_field(name: str, value: Any) -> Any:
    return copy_value(value)
