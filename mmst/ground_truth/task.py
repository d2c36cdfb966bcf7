"""Tasks: what is special about the data samples and the batches of one library."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmst.core.resize import LARGEST_STRIDE, Size, scale_size, stack_size
from mmst.core.state import dotted_name

from .elements import copy_value, map_fields, metainfo_of
from .fields import field_resizer
from .image_resize import ImageResize, pad_like
from .remedies import FULL_SIZE

__all__ = [
    'Task',
    'find_task',
    'library_task',
    'register_task',
    'register_task_module',
    'task_of',
]

_tasks: dict[type, Task] = {}
_task_modules: dict[str, str] = {}


class Task:
    """Library-specific parts of resizing a batch: sizes, padding, metainfo.

    The defaults fit images that fill the batch and a preprocessor with the settings of mmengine's
    ``ImgDataPreprocessor``, or one that does not pad.
    """

    def image_sizes(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]) -> list[Size]:
        """Sizes (height, width) of the B images in ``inputs`` (B, C, H, W), without padding."""
        return [(inputs.shape[-2], inputs.shape[-1])] * len(inputs)

    def pad_divisor(self, model: BaseModel) -> int:
        """Divisor of the padded sides of a batch, from the model's preprocessor."""
        return getattr(model.data_preprocessor, 'pad_size_divisor', 1)

    def divisor_hw(self, model: BaseModel, main_hw: Size) -> Size:
        """Divisor of the sides (height, width): a subnet's batch leaves the main one's remainder.

        That is the divisor of the model's preprocessor, which pads the main network's batch to it.
        Where there is none, it is the largest power of two, up to 32, by which a side of the main
        network's input leaves 0 or 1: recipes without a divisor choose sizes that fit the grid of
        the last feature map, and the known backbones halve them at most five times. Crops of 512
        pixels leave 0, for feature maps of the input's size divided by the stride. Crops of 769
        leave 1, for heads that align corners: the last cell lies on the last pixel.

        Any other input ends between two cells, because convolutions round up. All that scales by
        the size of a feature map over that of the input would then miss its object by up to the
        stride: targets of CenterNet and CornerNet, heatmaps of poses, predictions resized to a map
        of labels, a level of a pyramid added to the next. HRNet, which adds levels as they are,
        would fail.

        Neither an attribute nor the size of the outputs tells the stride itself: HRNet and U-Net
        return larger maps than they have inside. Taking too large a one, as for a segmenter whose
        dilated backbone halves three times, costs pixels: 6 % instead of 1 % for crops of 512 x
        1024 at 0.43 to 1 times their size.

        Args:
            model: The model.
            main_hw: Size of the main network's batch, with padding.
        """
        divisor = self.pad_divisor(model)
        if divisor > 1:
            return divisor, divisor
        height, width = (math.gcd(side - side % 2, LARGEST_STRIDE) for side in main_hw)
        return height, width

    def padded_size(
        self,
        model: BaseModel,
        sizes_hw: Sequence[Size],
        ratio: float,
        main_hw: Size,
        divisor_hw: Size,
    ) -> Size:
        """Size of the padded batch for images of these sizes.

        Args:
            model: The model.
            sizes_hw: Sizes of the images.
            ratio: Their scale, for a preprocessor that pads to a fixed size.
            main_hw: Size of the main network's batch, with padding.
            divisor_hw: What the sides differ from its sides by multiples of.
        """
        fixed_hw = self.fixed_size(model)
        if fixed_hw is not None:
            sizes_hw = [*sizes_hw, scale_size(fixed_hw, ratio)]
        return pad_like(main_hw, stack_size(sizes_hw), divisor_hw)

    def fixed_size(self, model: BaseModel) -> Size | None:
        """Size to which the model's preprocessor pads all images, None if it has none."""
        return None

    def pad_value(self, model: BaseModel) -> float:
        """Padding value of the model's preprocessor."""
        return getattr(model.data_preprocessor, 'pad_value', 0.0)

    def one_size_reason(self, head: object) -> str | None:
        """Says why a head needs inputs of one size; None if it takes any, as far as is known."""
        return None

    def one_image_reason(self, head: object) -> str | None:
        """Says why a head needs images of one size, even where its inputs have one; None if not."""
        return None

    def is_placeless(self, data_samples: Sequence[BaseDataElement]) -> bool:
        """Tells whether ground truth is about whole images, and so fits any transform of them."""
        return False

    def makes_logits(self, head: object) -> bool:
        """Tells whether the output of a head are logits of one label per image."""
        return False

    def resize_metainfo(self, metainfo: dict[str, Any], resize: ImageResize) -> dict[str, Any]:
        """Returns the entries of a data sample's metainfo that change with the resize."""
        sizes = (
            ('img_shape', resize.to_hw),
            ('pad_shape', resize.padded_alone_hw),
            ('batch_input_shape', resize.padded_hw),
        )
        result: dict[str, Any] = {
            name: (*size_hw, *(metainfo[name] or ())[2:])  # perhaps with the number of channels
            for name, size_hw in sizes
            if name in metainfo
        }
        if 'scale_factor' in metainfo:
            result['scale_factor'] = _scaled(metainfo['scale_factor'], resize.factor_xy)
        return result

    def copy_samples(self, data_samples: Sequence[BaseDataElement]) -> Sequence[BaseDataElement]:
        """Returns B data samples for a subnet at full size, copies of the main network's.

        Overridden where no model changes them.
        """
        return copy_value(data_samples)

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[BaseDataElement],
        resizes: Sequence[ImageResize],
    ) -> Sequence[BaseDataElement]:
        """Returns copies of B data samples that fit the B resized images.

        Overridden where a field cannot follow the resize by itself, or where none has to.

        Raises:
            ValueError: No function is registered for a field of a sample.
        """
        results = []
        for sample, resize in zip(data_samples, resizes, strict=True):
            metainfo = metainfo_of(sample)
            metainfo.update(self.resize_metainfo(metainfo, resize))
            results.append(map_fields(sample, metainfo, field_resizer(type(sample), resize)))
        return results


def _scaled(scale_factor: Any, factor_xy: tuple[float, float]) -> tuple[float, ...]:
    """Multiplies a factor: (x, y), (x, y, x, y) or one for both axes, a number or an array."""
    values = scale_factor if isinstance(scale_factor, tuple) else np.ravel(scale_factor).tolist()
    if len(values) == 1:
        values = [*values, *values]
    return tuple([old * new for old, new in zip(values, itertools.cycle(factor_xy))])  # noqa: B905


def register_task(sample_type: type[BaseDataElement]) -> Callable[[type[Task]], type[Task]]:
    """Registers the :class:`Task` of a class of data samples and of its subclasses."""

    def register(cls: type[Task]) -> type[Task]:
        _tasks[sample_type] = cls()
        return cls

    return register


def register_task_module(package: str, module: str) -> None:
    """Registers the module to import when a data sample of ``package`` is first seen."""
    _task_modules[package] = module


def library_task(package: str) -> Task:
    """Finds the task of a library, which is imported; that of plain mmengine has the defaults."""
    if package not in _task_modules:
        return Task()
    importlib.import_module(_task_modules[package])
    return next(task for cls, task in _tasks.items() if cls.__module__.split('.')[0] == package)


def find_task(sample: object) -> Task | None:
    """Finds the task of a data sample, None if none is registered for its class."""
    for cls in type(sample).__mro__:
        module = _task_modules.get(cls.__module__.partition('.')[0])
        if module is not None:
            importlib.import_module(module)
        if cls in _tasks:
            return _tasks[cls]
    return None


def task_of(sample: object) -> Task:
    """Finds the task of a data sample.

    Raises:
        TypeError: No task is registered for its class.
    """
    task = find_task(sample)
    if task is not None:
        return task
    raise TypeError(
        'data_samples must be of a library whose ground truth mmst can resize '
        f'({", ".join(sorted(_task_modules))}), got {dotted_name(type(sample))}; '
        f'register a task with @mmst.ground_truth.register_task, or {FULL_SIZE}'
    )
