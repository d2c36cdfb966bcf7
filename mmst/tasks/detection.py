"""Ground truth of mmdet: boxes in pixels of the image that the network sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import BaseBoxes, get_box_wh, scale_boxes
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from mmst.core.resize import stack_size
from mmst.engine.task import (
    ImageResize,
    Task,
    register_ground_truth,
    register_task,
)

__all__ = ['DetectionTask', 'copy_labels', 'resize_boxes']

Size = tuple[int, int]


@register_task(DetDataSample)
class DetectionTask(Task):
    """Images lie in the upper left corner of a batch padded to a multiple of a divisor."""

    def image_sizes(self, inputs: Tensor, data_samples: Sequence[DetDataSample]) -> list[Size]:
        """See :meth:`Task.image_sizes`."""
        return [tuple(sample.img_shape[:2]) for sample in data_samples]

    def padded_size(self, model: BaseModel, sizes_hw: Sequence[Size]) -> Size:
        """See :meth:`Task.padded_size`."""
        return _ceil_to_divisor(stack_size(sizes_hw), model)

    def pad_value(self, model: BaseModel) -> float:
        """See :meth:`Task.pad_value`."""
        return model.data_preprocessor.pad_value

    def resize_metainfo(
        self, model: BaseModel, metainfo: dict[str, Any], resize: ImageResize
    ) -> dict[str, Any]:
        """See :meth:`Task.resize_metainfo`."""
        result = {
            'img_shape': resize.to_hw,
            'pad_shape': _ceil_to_divisor(resize.to_hw, model),
            'batch_input_shape': resize.padded_hw,
        }
        if 'scale_factor' in metainfo:
            factors = zip(metainfo['scale_factor'], resize.factor_xy, strict=True)
            result['scale_factor'] = tuple(old * new for old, new in factors)
        return result

    def resize_sample(
        self, model: BaseModel, sample: DetDataSample, resize: ImageResize
    ) -> DetDataSample:
        """See :meth:`Task.resize_sample`. Instances whose box falls under one pixel are dropped.

        An image whose instances are all dropped stays in the batch, as one without objects.
        """
        result = super().resize_sample(model, sample, resize)
        for name in ('gt_instances', 'ignored_instances'):
            instances = result.get(name)
            if instances is not None and 'bboxes' in instances:
                setattr(result, name, instances[_large_enough(instances)])
        return result


@register_ground_truth(DetDataSample, 'gt_instances.bboxes', 'ignored_instances.bboxes')
def resize_boxes(boxes: Tensor | BaseBoxes, resize: ImageResize) -> Tensor | BaseBoxes:
    """Scales boxes of shape (n, 4), in pixels, as (x1, y1, x2, y2)."""
    return scale_boxes(boxes.clone(), resize.factor_xy)


@register_ground_truth(DetDataSample, 'gt_instances.labels', 'ignored_instances.labels')
def copy_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Copies class labels of shape (n,)."""
    return labels.clone()


def _large_enough(instances: InstanceData) -> Tensor:
    """Which of n boxes are at least one pixel wide and high, a bool tensor of shape (n,)."""
    return torch.stack(get_box_wh(instances.bboxes), dim=-1).amin(dim=-1) >= 1


def _ceil_to_divisor(size_hw: Size, model: BaseModel) -> Size:
    divisor = model.data_preprocessor.pad_size_divisor
    height, width = (math.ceil(side / divisor) * divisor for side in size_hw)
    return height, width
