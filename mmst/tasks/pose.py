"""Ground truth of mmpose: heatmaps or normalised coordinates of keypoints.

Annotations in ``gt_instances`` are in pixels of the original image, what losses read is in
``gt_instance_labels`` and ``gt_fields``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from mmengine.model import BaseModel
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmst.engine.task import (
    ImageResize,
    Task,
    register_ground_truth,
    register_task,
)

from .pose_heatmaps import encode_heatmaps, resized_heatmap_size

__all__ = [
    'PoseTask',
    'blank_heatmaps',
    'copy_annotation',
    'copy_weights',
    'refuse_fixed_bins',
    'resize_keypoint_labels',
    'resize_keypoints',
]


@register_task(PoseDataSample)
class PoseTask(Task):
    """Images fill the batch; smaller ones are padded to what the network halves without a rest.

    See :meth:`Task.divisor_hw`: predicted heatmaps then have the size of the ground truth.
    """

    def resize_metainfo(self, metainfo: dict[str, Any], resize: ImageResize) -> dict[str, Any]:
        """See :meth:`Task.resize_metainfo`. ``img_shape`` stays that of the original image."""
        result = super().resize_metainfo(metainfo, resize)
        if 'input_size' in metainfo:
            result.pop('img_shape', None)
            result['input_size'] = resize.to_hw[::-1]
        return result

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[PoseDataSample],
        resizes: Sequence[ImageResize],
    ) -> list[PoseDataSample]:
        """See :meth:`Task.resize_samples`. Heatmaps are encoded anew, by the head's codec.

        Raises:
            ValueError: Transformed keypoints are not packed, the codec cannot be resized, or the
                new heatmaps would have a fraction of a pixel.
        """
        results = super().resize_samples(model, data_samples, resizes)
        if 'heatmaps' in data_samples[0].get('gt_fields', ()):
            encode_heatmaps(model, data_samples, results, resizes[0])
        return results


@register_ground_truth(
    PoseDataSample,
    'gt_instances.bbox_scales',
    'gt_instances.bbox_scores',
    'gt_instances.bboxes',
    'gt_instances.head_size',
    'gt_instances.keypoints',
    'gt_instances.keypoints_visible',
)
def copy_annotation(values: np.ndarray, resize: ImageResize) -> np.ndarray:
    """Copies what belongs to the original image, of any shape."""
    return values.copy()


@register_ground_truth(PoseDataSample, 'gt_instances.transformed_keypoints')
def resize_keypoints(keypoints: np.ndarray, resize: ImageResize) -> np.ndarray:
    """Scales keypoints of shape (n, K, 2), in pixels of the network's input, as (x, y)."""
    return (keypoints * resize.factor_xy).astype(keypoints.dtype)


@register_ground_truth(
    PoseDataSample,
    'gt_instance_labels.keypoint_weights',
    'gt_instance_labels.keypoints_visible_weights',
)
def copy_weights(weights: Tensor, resize: ImageResize) -> Tensor:
    """Copies weights of keypoints, of shape (n, K)."""
    return weights.clone()


@register_ground_truth(PoseDataSample, 'gt_instance_labels.keypoint_labels')
def resize_keypoint_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Resizes keypoints of shape (n, K, 2), as fractions of the input's width and height.

    Only padding changes them.
    """
    (height, width), (padded_height, padded_width) = resize.to_hw, resize.padded_hw
    return labels * labels.new_tensor([width / padded_width, height / padded_height])


@register_ground_truth(
    PoseDataSample,
    'gt_instance_labels.keypoint_x_labels',
    'gt_instance_labels.keypoint_y_labels',
)
def refuse_fixed_bins(labels: Tensor, resize: ImageResize) -> NoReturn:
    """Raises ValueError: SimCC heads classify a fixed number of pixels of a fixed feature map."""
    raise ValueError(
        'inputs must keep their size for a head of the SimCC family (SimCC, RTMCC, RTMW), whose '
        f'layers fit inputs of one size, got {resize.to_hw} instead of {resize.from_hw}; train '
        'subnets at full size (inputs=None)'
    )


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
    size_hw = resized_heatmap_size(heatmaps.shape[-2:], resize)
    return heatmaps.new_zeros(len(heatmaps), *size_hw)
