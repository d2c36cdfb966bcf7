"""Ground truth of mmdet: boxes in pixels of the image that the network sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import BaseBoxes, get_box_tensor, get_box_wh, scale_boxes
from mmdet.structures.mask import BitmapMasks
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from mmst.core.resize import Size

from .detection_maps import draw_pixel, has_pixels  # the module registers masks and maps too
from .fields import register_ground_truth
from .image_resize import ImageResize
from .task import Task, register_task

__all__ = ['DetectionTask', 'copy_labels', 'resize_boxes']


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
    ) -> Sequence[DetDataSample]:
        """See :meth:`Task.resize_samples`. Instances that become too small are dropped.

        Their box falls under one pixel, or their mask is left without one: a head would learn that
        there is nothing in the box. But the largest stays if no other does. mmdet's data sets leave
        out images without objects, so that some heads have never met a batch of them: Sparse
        R-CNN's loss exceeds 1e7 there, PointRend raises. That an image has an object or none is the
        same at every size, on every rank.

        Ignored instances are not missed, and their masks count for nothing: mmdet gives an empty
        one to those that have none.
        """
        results = super().resize_samples(model, data_samples, resizes)
        for result, resize in zip(results, resizes, strict=True):
            truth, ignored = result.get('gt_instances'), result.get('ignored_instances')
            if truth is not None and 'bboxes' in truth:
                result.gt_instances = _drop_small(truth, resize.to_hw)
            if ignored is not None and 'bboxes' in ignored:
                result.ignored_instances = _select(ignored, _shorter_sides(ignored) >= 1)
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


def _shorter_sides(instances: InstanceData) -> Tensor:
    """Shorter sides of n boxes, in pixels, on the CPU."""
    return torch.stack(get_box_wh(instances.bboxes), dim=-1).amin(dim=-1).cpu()


def _drop_small(instances: InstanceData, image_hw: Size) -> InstanceData:
    """Drops instances whose box is less than one pixel wide or high or whose mask is empty.

    mmdet drops small boxes only when it reads them, at full size: nothing of them is left to be
    learnt here. If none would be left, that with the longest shorter side is kept, of those with a
    mask or else of all. An empty mask of it gets one pixel.

    Args:
        instances: Resized instances with boxes and perhaps masks, which may be modified.
        image_hw: Size of their image, without padding.
    """
    sides = _shorter_sides(instances)
    masks = instances.get('masks')
    has_mask = torch.ones_like(sides, dtype=torch.bool)
    if isinstance(masks, BitmapMasks):  # polygons scale, they do not become empty
        has_mask = torch.from_numpy(has_pixels(masks, image_hw))
    is_kept = has_mask & (sides >= 1)
    if len(sides) and not is_kept.any():
        largest = max(range(len(sides)), key=lambda i: (has_mask[i], sides[i]))
        is_kept[largest] = True
        if not has_mask[largest]:
            draw_pixel(masks, largest, get_box_tensor(instances.bboxes)[largest], image_hw)
    return _select(instances, is_kept)


def _select(instances: InstanceData, is_kept: Tensor) -> InstanceData:
    """Returns the instances that are kept: all as they are, for an index would copy their masks."""
    return instances if is_kept.all() else instances[is_kept]
