"""Ground truth of mmpose: heatmaps, normalised coordinates, or people in the whole image.

Annotations in ``gt_instances`` are for metrics, in pixels of the original image. What losses read
is in ``gt_instance_labels`` and ``gt_fields``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from mmengine.model import BaseModel
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmst.core.label_map import check_map_size
from mmst.core.resize import resize_padded_batch

from .fields import register_ground_truth
from .image_resize import ImageResize
from .pose_canvas import encode_in_canvas
from .pose_codecs import (
    BINS,
    check_takes_smaller_images,
    head_codec,
    may_make,
    one_image_reason,
    one_size_reason,
)
from .pose_heatmaps import encode_heatmaps, resized_heatmap_size
from .task import Task, register_task

__all__ = [
    'PoseTask',
    'blank_heatmaps',
    'copy_annotation',
    'copy_labels',
    'resize_areas',
    'resize_boxes',
    'resize_keypoint_labels',
    'resize_keypoints',
    'resize_mask',
]

Points = TypeVar('Points', np.ndarray, Tensor)


@register_task(PoseDataSample)
class PoseTask(Task):
    """Images fill the batch; smaller ones are padded to a size that the network halves evenly.

    See :meth:`Task.divisor_hw`: predicted heatmaps then have the size of the ground truth.
    """

    def one_size_reason(self, head: object) -> str | None:
        """See :meth:`Task.one_size_reason`."""
        return one_size_reason(head)

    def one_image_reason(self, head: object) -> str | None:
        """See :meth:`Task.one_image_reason`."""
        return one_image_reason(head)

    def resize_metainfo(self, metainfo: dict[str, Any], resize: ImageResize) -> dict[str, Any]:
        """See :meth:`Task.resize_metainfo`. ``img_shape`` stays that of the original image."""
        result = super().resize_metainfo(metainfo, resize)
        if 'input_size' in metainfo:
            result.pop('img_shape', None)
            image_hw = resize.from_hw if resize.keeps_canvas else resize.to_hw
            result['input_size'] = image_hw[::-1]
        return result

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[PoseDataSample],
        resizes: Sequence[ImageResize],
    ) -> Sequence[PoseDataSample]:
        """See :meth:`Task.resize_samples`. Heatmaps are encoded again, by the head's codec.

        In a canvas of the old size, bins and all else that the codec makes are encoded as well. A
        head whose codec makes no heatmaps reads none: they are left out.

        Raises:
            ValueError: Head or codec need inputs of one size, transformed keypoints are not packed,
                the codec cannot be resized, or the new heatmaps would have a fraction of a pixel.
        """
        first, codec = data_samples[0], head_codec(model)
        check_takes_smaller_images(model, first, resizes[0])
        results = super().resize_samples(model, data_samples, resizes)
        has_heatmaps = 'heatmaps' in first.get('gt_fields', ())
        has_bins = BINS in first.get('gt_instance_labels', ()) and may_make(codec, BINS)
        makes_heatmaps = has_heatmaps and may_make(codec, 'heatmaps')
        if resizes[0].keeps_canvas and (has_bins or makes_heatmaps):
            encode_in_canvas(codec, results)
        elif makes_heatmaps:
            encode_heatmaps(codec, first, results, resizes[0])
        if has_heatmaps and not makes_heatmaps:
            for result in results:
                del result.gt_fields.heatmaps
        return results


@register_ground_truth(
    PoseDataSample,
    'gt_instances.areas',
    'gt_instances.bbox_centers',
    'gt_instances.bbox_scales',
    'gt_instances.bbox_scores',
    'gt_instances.bboxes',
    'gt_instances.head_size',
    'gt_instances.keypoints',
    'gt_instances.keypoints_cam',
    'gt_instances.keypoints_visible',
    'gt_instances.lifting_target',
    'gt_instances.lifting_target_visible',
)
def copy_annotation(values: np.ndarray, resize: ImageResize) -> np.ndarray:
    """Copies what belongs to the original image, of any shape."""
    return values.copy()


@register_ground_truth(
    PoseDataSample, 'gt_instances.transformed_keypoints', 'gt_instance_labels.keypoints'
)
def resize_keypoints(keypoints: Points, resize: ImageResize) -> Points:
    """Moves keypoints of shape (n, K, 2), in pixels of the network's input, as (x, y).

    As in mmpose, a whole number is the centre of a pixel, so that the upper left corner of an input
    of any size is at (-0.5, -0.5).
    """
    moved = keypoints + 0.5
    for axis, factor in enumerate(resize.factor_xy):
        moved[..., axis] *= factor
    return moved - 0.5


@register_ground_truth(PoseDataSample, 'gt_instance_labels.bboxes')
def resize_boxes(boxes: Tensor, resize: ImageResize) -> Tensor:
    """Scales boxes of shape (n, 4), along the edges of pixels, as (x1, y1, x2, y2)."""
    return boxes * boxes.new_tensor(resize.factor_xy * 2)


@register_ground_truth(PoseDataSample, 'gt_instance_labels.areas')
def resize_areas(areas: Tensor, resize: ImageResize) -> Tensor:
    """Scales areas of shape (n,), in pixels."""
    return areas * math.prod(resize.factor_xy)


@register_ground_truth(PoseDataSample, 'gt_instance_labels.keypoint_labels')
def resize_keypoint_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Moves keypoints of shape (n, K, 2), in pixels over the input's width and height."""
    from_wh, padded_wh = (labels.new_tensor(hw[::-1]) for hw in (resize.from_hw, resize.padded_hw))
    return resize_keypoints(labels * from_wh, resize) / padded_wh


@register_ground_truth(
    PoseDataSample,
    'gt_instance_labels.keypoint_weights',
    'gt_instance_labels.keypoint_x_labels',
    'gt_instance_labels.keypoint_y_labels',
    'gt_instance_labels.keypoints_visible',
    'gt_instance_labels.keypoints_visible_weights',
    'gt_instance_labels.labels',
)
def copy_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Copies classes (n,), weights of keypoints (n, K) or bins (n, K, number of bins).

    Heads that read bins need inputs of one size. In a canvas of that size their codec encodes the
    bins again.
    """
    return labels.clone()


@register_ground_truth(PoseDataSample, 'gt_fields.heatmap_mask')
def resize_mask(mask: Tensor, resize: ImageResize) -> Tensor:
    """Resizes a mask of shape (1, H, W) of unannotated regions. Padding is 0."""
    check_map_size((mask.shape[-2], mask.shape[-1]), resize.from_hw)
    resized = resize_padded_batch(
        mask[None].float(), [resize.from_hw], [resize.to_hw], resize.padded_hw
    )
    return (resized[0] > 0.5).to(mask.dtype)


@register_ground_truth(PoseDataSample, 'gt_fields.heatmaps')
def blank_heatmaps(heatmaps: Tensor, resize: ImageResize) -> Tensor:
    """Makes zero heatmaps of the new size, into which :class:`PoseTask` encodes the keypoints.

    Args:
        heatmaps: Heatmaps of shape (K, h, w), that the main network's input is a multiple of.
        resize: The resize of the image.
    """
    if not isinstance(heatmaps, Tensor):
        raise ValueError(
            'gt_fields.heatmaps must be one tensor to be resized, got the '
            f'{len(heatmaps)} levels of GenerateTarget(multilevel=True); train subnets at full '
            'size (inputs=None)'
        )
    height, width = heatmaps.shape[-2:]
    size_hw = resized_heatmap_size((height, width), resize)
    return heatmaps.new_zeros(len(heatmaps), *size_hw)
