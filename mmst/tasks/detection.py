"""Ground truth of mmdet: boxes in pixels of the image that the network sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import BaseBoxes, get_box_wh, scale_boxes
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from mmst.engine.task import (
    ImageResize,
    Task,
    register_ground_truth,
    register_task,
)

from . import detection_maps as detection_maps  # registers masks and semantic maps

__all__ = ['DetectionTask', 'copy_labels', 'resize_boxes']

Size = tuple[int, int]


@register_task(DetDataSample)
class DetectionTask(Task):
    """Images lie in the upper left corner of a batch padded to a multiple of a divisor."""

    def image_sizes(self, inputs: Tensor, data_samples: Sequence[DetDataSample]) -> list[Size]:
        """See :meth:`Task.image_sizes`."""
        return [tuple(sample.img_shape[:2]) for sample in data_samples]

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[DetDataSample],
        resizes: Sequence[ImageResize],
    ) -> list[DetDataSample]:
        """See :meth:`Task.resize_samples`. Instances whose box falls under one pixel are dropped.

        But the largest stays if no other does. mmdet's data sets leave out images without objects,
        so that some heads have never met a batch of them: Sparse R-CNN's loss exceeds 1e7 there,
        PointRend raises. That an image has an object or none is the same at every size, on every
        rank. Ignored instances are not missed.
        """
        results = super().resize_samples(model, data_samples, resizes)
        for result in results:
            for name in ('gt_instances', 'ignored_instances'):
                instances = result.get(name)
                if instances is not None and 'bboxes' in instances:
                    kept = _drop_small(instances, keep_one=name == 'gt_instances')
                    setattr(result, name, kept)
        return results


@register_ground_truth(
    DetDataSample, 'gt_instances.bboxes', 'ignored_instances.bboxes', 'proposals.bboxes'
)
def resize_boxes(boxes: Tensor | BaseBoxes, resize: ImageResize) -> Tensor | BaseBoxes:
    """Scales boxes of shape (n, 4), in pixels, as (x1, y1, x2, y2)."""
    return scale_boxes(boxes.clone(), resize.factor_xy)


@register_ground_truth(
    DetDataSample, 'gt_instances.labels', 'ignored_instances.labels', 'proposals.scores'
)
def copy_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Copies class labels or scores of shape (n,)."""
    return labels.clone()


def _drop_small(instances: InstanceData, keep_one: bool) -> InstanceData:
    """Drops instances whose box is less than one pixel wide or high, with all their fields.

    mmdet does so only with what it reads, at full size: nothing of them is left to be learnt here.

    Args:
        instances: Instances with boxes.
        keep_one: Whether the box whose shorter side is the longest is kept in any case.
    """
    sides = torch.stack(get_box_wh(instances.bboxes), dim=-1).amin(dim=-1).cpu()
    is_kept = sides >= 1
    if is_kept.all():
        return instances
    if keep_one and not is_kept.any():
        is_kept[sides.argmax()] = True
    return instances[is_kept]
