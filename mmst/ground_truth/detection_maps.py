"""Pixel-wise ground truth of mmdet: instance masks and semantic maps."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from torch import Tensor

from mmst.core.label_map import check_map_size, nearest_index, resize_label_map
from mmst.core.resize import Size

from .fields import register_ground_truth
from .image_resize import ImageResize

__all__ = [
    'draw_pixel',
    'has_pixels',
    'resize_ignored_masks',
    'resize_masks',
    'resize_semantic_map',
]

Masks: TypeAlias = BitmapMasks | PolygonMasks


@register_ground_truth(DetDataSample, 'gt_instances.masks')
def resize_masks(masks: Masks, resize: ImageResize) -> Masks:
    """Resizes n instance masks and pads them if the preprocessor does.

    Those of the size of the main network's input have that of the subnet's: its padding may be the
    first, see :meth:`Task.divisor_hw`, and some heads compare masks with whole feature maps.
    """
    settings = resize.preprocessor
    if settings.pad_mask or _size_of(masks) == resize.main_hw:
        return _resize_masks(masks, resize, resize.padded_hw, settings.mask_pad_value)
    return _resize_masks(masks, resize, resize.to_hw, 0)


@register_ground_truth(DetDataSample, 'ignored_instances.masks')
def resize_ignored_masks(masks: Masks, resize: ImageResize) -> Masks:
    """Resizes the masks of ignored instances, which are never padded."""
    return _resize_masks(masks, resize, resize.to_hw, 0)


@register_ground_truth(DetDataSample, 'gt_sem_seg.sem_seg')
def resize_semantic_map(labels: Tensor, resize: ImageResize) -> Tensor:
    """Resizes a map of class labels of shape (1, H, W) and pads it as :func:`resize_masks` does."""
    settings = resize.preprocessor
    is_padded = settings.pad_seg or tuple(labels.shape[-2:]) == resize.main_hw
    padded_hw = resize.padded_hw if is_padded else resize.to_hw
    return resize_label_map(labels, resize.from_hw, resize.to_hw, padded_hw, settings.seg_pad_value)


def has_pixels(masks: BitmapMasks, image_hw: Size) -> np.ndarray:
    """Returns which of n masks have a pixel in an image of this size, without its padding.

    That of a thin object may have none after a resize to the nearest pixels.

    Returns:
        Array of shape (n,), bool.
    """
    height, width = image_hw
    return masks.masks[:, :height, :width].any(axis=(1, 2))


def draw_pixel(masks: BitmapMasks, index: int, box: Tensor, image_hw: Size) -> None:
    """Sets the pixel under the centre of a box in one of n masks, in place.

    Args:
        masks: The masks.
        index: Which of them.
        box: The box of shape (4,), in pixels, as (x1, y1, x2, y2).
        image_hw: Size of the image, without padding.
    """
    height, width = image_hw
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    row, column = min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)
    masks.masks[index, row, column] = 1


def _size_of(masks: Masks) -> Size:
    if not isinstance(masks, (BitmapMasks, PolygonMasks)):
        raise TypeError(
            f'masks must be BitmapMasks or PolygonMasks, got {type(masks).__name__}; register '
            "another resize with @mmst.register_ground_truth(DetDataSample, 'gt_instances.masks')"
        )
    return masks.height, masks.width


def _resize_masks(masks: Masks, resize: ImageResize, padded_hw: Size, pad_value: int) -> Masks:
    check_map_size(_size_of(masks), resize.from_hw)
    if isinstance(masks, PolygonMasks):
        image = PolygonMasks(masks.masks, *resize.from_hw)  # without padding
        return image.resize(resize.to_hw).pad(padded_hw)
    result = BitmapMasks([], *padded_hw)
    # Not BitmapMasks(array, ...): that copies the array.
    result.masks = _resize_bitmaps(masks.masks, resize, padded_hw, pad_value)
    return result


def _resize_bitmaps(
    masks: np.ndarray, resize: ImageResize, padded_hw: Size, pad_value: int
) -> np.ndarray:
    """Resizes masks of shape (n, H, W), uint8.

    Most of a mask is zero. Only the box that encloses the rest is resized; the zeros come from the
    operating system, which gives pages of zeros without writing them.
    """
    (height, width), (new_height, new_width) = resize.from_hw, resize.to_hw
    masks = masks[:, :height, :width]
    rows = nearest_index(height, new_height).numpy()
    columns = nearest_index(width, new_width).numpy()
    result = np.zeros((len(masks), *padded_hw), masks.dtype)
    for mask, new_mask, row_max in zip(masks, result, masks.max(axis=2), strict=True):
        top, bottom = _used_range(row_max[rows])
        band = mask[rows[top:bottom]]
        left, right = _used_range(band.max(axis=0, initial=0)[columns])
        new_mask[top:bottom, left:right] = band[:, columns[left:right]]
    if pad_value:
        result[:, new_height:] = pad_value
        result[:, :, new_width:] = pad_value
    return result


def _used_range(values: np.ndarray) -> tuple[int, int]:
    """First position that is not zero and the one after the last, (0, 0) if there is none."""
    positions = np.flatnonzero(values)
    return (positions[0], positions[-1] + 1) if len(positions) else (0, 0)
