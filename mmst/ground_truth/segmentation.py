"""Ground truth of mmseg: maps of the size of the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional as F

from mmst.core.label_map import check_map_size, resize_label_map
from mmst.core.resize import Size, pad_corner

from .fields import register_ground_truth
from .image_resize import ImageResize
from .task import Task, register_task

__all__ = ['SegmentationTask', 'resize_edges', 'resize_map']


@register_task(SegDataSample)
class SegmentationTask(Task):
    """Images lie in the upper left corner of a batch, all maps are padded with it."""

    def image_sizes(self, inputs: Tensor, data_samples: Sequence[SegDataSample]) -> list[Size]:
        """See :meth:`Task.image_sizes`."""
        return [tuple(sample.img_shape[:2]) for sample in data_samples]

    def pad_divisor(self, model: BaseModel) -> int:
        """See :meth:`Task.pad_divisor`."""
        return model.data_preprocessor.size_divisor or 1

    def fixed_size(self, model: BaseModel) -> Size | None:
        """See :meth:`Task.fixed_size`. It is that of the crops, and shrinks with them."""
        return model.data_preprocessor.size

    def pad_value(self, model: BaseModel) -> float:
        """See :meth:`Task.pad_value`."""
        return model.data_preprocessor.pad_val

    def resize_metainfo(self, metainfo: dict[str, Any], resize: ImageResize) -> dict[str, Any]:
        """See :meth:`Task.resize_metainfo`."""
        (height, width), (padded_height, padded_width) = resize.to_hw, resize.padded_hw
        return {
            **super().resize_metainfo(metainfo, resize),
            'img_shape': torch.Size(resize.to_hw),  # heads look at the type
            'pad_shape': resize.padded_hw,
            'padding_size': (0, padded_width - width, 0, padded_height - height),
        }


@register_ground_truth(SegDataSample, 'gt_sem_seg.data', 'gt_depth_map.data')
def resize_map(values: Tensor, resize: ImageResize) -> Tensor:
    """Resizes a map of shape (1, H, W), of class labels or of depths in metres.

    Depths too take the nearest pixel, as in mmseg's pipelines: between two objects or beside a
    missing value, which is 0, no pixel has the mean depth.
    """
    return resize_label_map(
        values, resize.from_hw, resize.to_hw, resize.padded_hw, resize.preprocessor.seg_pad_val
    )


@register_ground_truth(SegDataSample, 'gt_edge_map.data')
def resize_edges(edges: Tensor, resize: ImageResize) -> Tensor:
    """Resizes a map of boundaries of shape (1, H, W): 1 on the boundary, 0 elsewhere.

    A new pixel is on the boundary if the boundary passes through it, so that no thin line is lost.
    """
    check_map_size((edges.shape[-2], edges.shape[-1]), resize.from_hw)
    height, width = resize.from_hw
    touched = F.adaptive_max_pool2d(edges[..., :height, :width].float(), resize.to_hw)
    return pad_corner(touched.to(edges.dtype), resize.padded_hw, resize.preprocessor.seg_pad_val)
