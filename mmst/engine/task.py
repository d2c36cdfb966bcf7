"""How the ground truth of a batch follows a resize.

A :class:`Task` knows the data samples of one library. The fields of a data sample are resized one
by one, by functions registered under the field's path, e.g. ``'gt_instances.bboxes'``. A field
without one is an error: silently training on ground truth of the wrong size would be worse.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmst.core.resize import stack_size

__all__ = [
    'ImageResize',
    'Task',
    'register_ground_truth',
    'register_task',
    'register_task_module',
    'resize_element',
    'task_of',
]

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageResize:
    """The resize of one image of a batch. Sizes are (height, width) in pixels.

    Args:
        from_hw: Size of the image, without padding.
        to_hw: Its new size.
        padded_hw: New size of the whole batch.
        preprocessor: The model's data preprocessor, for the settings of its padding.
    """

    from_hw: Size
    to_hw: Size
    padded_hw: Size
    preprocessor: nn.Module

    @property
    def factor_xy(self) -> tuple[float, float]:
        """Factors of horizontal and vertical coordinates."""
        return self.to_hw[1] / self.from_hw[1], self.to_hw[0] / self.from_hw[0]

    @property
    def ratio(self) -> float:
        """Factor of lengths that have no direction: that of the shorter side."""
        return min(self.to_hw) / min(self.from_hw)


FieldResizer = Callable[[Any, ImageResize], Any]

_fields: dict[tuple[type, str], FieldResizer] = {}
_tasks: dict[type, Task] = {}
_task_modules: dict[str, str] = {}


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
        return resizer

    return register


class Task:
    """What differs between libraries in resizing a batch: sizes, padding, metainfo.

    The defaults fit images that fill the batch and a preprocessor with the settings of mmengine's
    ``ImgDataPreprocessor``, or one that does not pad.
    """

    def image_sizes(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]) -> list[Size]:
        """Sizes (height, width) of the B images in ``inputs`` (B, C, H, W), without padding."""
        return [(inputs.shape[-2], inputs.shape[-1])] * len(inputs)

    def padded_size(self, model: BaseModel, sizes_hw: Sequence[Size], ratio: float) -> Size:
        """Size that the model's preprocessor gives to a batch of images of such sizes.

        Args:
            model: The model.
            sizes_hw: Sizes of the images.
            ratio: Their scale, for a preprocessor that pads to a fixed size.
        """
        return _ceil_to_divisor(stack_size(sizes_hw), model.data_preprocessor)

    def pad_value(self, model: BaseModel) -> float:
        """What the model's preprocessor fills the padding with."""
        return getattr(model.data_preprocessor, 'pad_value', 0.0)

    def resize_metainfo(self, metainfo: dict[str, Any], resize: ImageResize) -> dict[str, Any]:
        """Returns the entries of a data sample's metainfo that change with the resize."""
        result = {
            'img_shape': resize.to_hw,
            'pad_shape': _ceil_to_divisor(resize.to_hw, resize.preprocessor),
            'batch_input_shape': resize.padded_hw,
        }
        if 'scale_factor' in metainfo:
            factors = zip(metainfo['scale_factor'], resize.factor_xy, strict=True)
            result['scale_factor'] = tuple(old * new for old, new in factors)
        return {name: value for name, value in result.items() if name in metainfo}

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[BaseDataElement],
        resizes: Sequence[ImageResize],
    ) -> list[BaseDataElement]:
        """Returns copies of B data samples that fit the B resized images.

        Overridden where a field cannot follow the resize by itself.

        Raises:
            ValueError: No function is registered for a field of a sample.
        """
        results = []
        for sample, resize in zip(data_samples, resizes, strict=True):
            result = resize_element(type(sample), sample, resize)
            result.set_metainfo(self.resize_metainfo(sample.metainfo, resize))
            results.append(result)
        return results


def _ceil_to_divisor(size_hw: Size, preprocessor: nn.Module) -> Size:
    divisor = getattr(preprocessor, 'pad_size_divisor', 1)
    height, width = (math.ceil(side / divisor) * divisor for side in size_hw)
    return height, width


def resize_element(
    sample_type: type, element: BaseDataElement, resize: ImageResize, path: str = ''
) -> BaseDataElement:
    """Returns a copy of an element, each field resized by the function registered for it.

    Entries of the metainfo are shared with it: they are replaced, never modified.

    Args:
        sample_type: Class of the data sample that contains the element.
        element: The data sample itself or a container in it.
        resize: The resize of the image.
        path: Where the element is in the data sample, with a final dot.

    Raises:
        ValueError: No function is registered for a field.
    """
    result = type(element)()
    for name, value in element.metainfo_items():
        # Not set_metainfo: it copies raw annotations, at more cost than all else here.
        result.set_field(value, name, field_type='metainfo')
    for name in sorted(element.keys()):
        value = element.get(name)
        resizer = _find_field(sample_type, path + name)
        if resizer is not None:
            value = resizer(value, resize)
        elif isinstance(value, BaseDataElement):
            value = resize_element(sample_type, value, resize, f'{path}{name}.')
        else:
            raise ValueError(
                'data_samples must hold only ground truth that mmst knows how to resize, got the '
                f'field {path + name!r} in a {sample_type.__name__}. Say how it follows its image '
                f'with @mmst.register_ground_truth({sample_type.__name__}, {path + name!r}) on a '
                'function (value, resize) -> new value, or train subnets at full size (inputs=None)'
            )
        setattr(result, name, value)
    return result


def _find_field(sample_type: type, path: str) -> FieldResizer | None:
    return next((_fields[cls, path] for cls in sample_type.__mro__ if (cls, path) in _fields), None)


def register_task(sample_type: type[BaseDataElement]) -> Callable[[type[Task]], type[Task]]:
    """Registers the :class:`Task` of a class of data samples and of its subclasses."""

    def register(cls: type[Task]) -> type[Task]:
        _tasks[sample_type] = cls()
        return cls

    return register


def register_task_module(package: str, module: str) -> None:
    """Registers the module to import when a data sample of ``package`` is first seen."""
    _task_modules[package] = module


def task_of(sample: object) -> Task:
    """Finds the task of a data sample.

    Raises:
        TypeError: No task is registered for its class.
    """
    for cls in type(sample).__mro__:
        module = _task_modules.get(cls.__module__.partition('.')[0])
        if module is not None:
            importlib.import_module(module)
        if cls in _tasks:
            return _tasks[cls]
    raise TypeError(
        'data_samples must be of a library whose ground truth mmst can resize '
        f'({", ".join(sorted(_task_modules))}), got {type(sample).__module__}.'
        f'{type(sample).__qualname__}; register a task with @mmst.engine.task.register_task, or '
        'train subnets at full size (inputs=None)'
    )
