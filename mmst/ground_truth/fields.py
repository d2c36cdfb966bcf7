"""Registry of the rules by which the fields of a data sample follow a resize.

The fields are resized one by one, by functions registered under the field's path, e.g.
``'gt_instances.bboxes'``. A field without one is an error: silently training on ground truth of the
wrong size would be worse.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mmengine.structures import BaseDataElement

from .elements import map_fields
from .image_resize import ImageResize
from .remedies import FULL_SIZE

__all__ = ['FieldResizer', 'field_resizer', 'find_field', 'register_ground_truth']

FieldResizer = Callable[[Any, ImageResize], Any]

_fields: dict[tuple[type, str], FieldResizer] = {}


def register_ground_truth(
    sample_type: type[BaseDataElement], *paths: str
) -> Callable[[FieldResizer], FieldResizer]:
    """Registers how a ground-truth field follows the resize of its image.

    The decorated function takes the field's value and an :class:`ImageResize` and returns a new
    value. It must not modify the old one, which belongs to the main network; for a field that does
    not depend on the size of the image it returns a copy.

    Example:
        >>> @register_ground_truth(DetDataSample, 'gt_instances.centers')
        ... def resize_centers(centers, resize):
        ...     return centers * centers.new_tensor(resize.factor_xy)

    Args:
        sample_type: Class of the data samples; its subclasses inherit the field.
        *paths: Names of fields, with a dot between a container and its part.
    """

    def register(resizer: FieldResizer) -> FieldResizer:
        for path in paths:
            _fields[sample_type, path] = resizer
        find_field.cache_clear()
        return resizer

    return register


def field_resizer(
    sample_type: type, resize: ImageResize, path: str = ''
) -> Callable[[str, Any], Any]:
    """Returns a function from name and value of a field to its resized copy.

    It raises ValueError for a field without a registered function.

    Args:
        sample_type: Class of the data sample that contains the element.
        resize: The resize of the image.
        path: Where the element is in the data sample, with a final dot; empty for itself.
    """

    def resize_field(name: str, value: Any) -> Any:
        resizer = find_field(sample_type, path + name)
        if resizer is not None:
            return resizer(value, resize)
        if isinstance(value, BaseDataElement):
            convert = field_resizer(sample_type, resize, f'{path}{name}.')
            return map_fields(value, value.metainfo, convert)
        raise ValueError(
            'data_samples must hold only ground truth that mmst knows how to resize, got the '
            f'field {path + name!r} in a {sample_type.__name__}. Register its resize '
            f'with @mmst.register_ground_truth({sample_type.__name__}, {path + name!r}) on a '
            f'function (value, resize) -> new value, or {FULL_SIZE}'
        )

    return resize_field


@functools.cache
def find_field(sample_type: type, path: str) -> FieldResizer | None:
    """Finds the function that is registered for a field of a class of data samples."""
    return next((_fields[cls, path] for cls in sample_type.__mro__ if (cls, path) in _fields), None)
