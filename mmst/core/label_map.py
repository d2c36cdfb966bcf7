"""Resizing of label maps: nearest neighbour, value for value what OpenCV gives.

OpenMMLab resizes ground-truth maps with OpenCV's ``INTER_NEAREST``. ``torch``'s ``nearest`` takes
the same pixels up to rounding, but supports few integer types.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .resize import Size, pad_corner

__all__ = ['nearest_index', 'resize_label_map']


def nearest_index(size: int, new_size: int, device: torch.device | str = 'cpu') -> Tensor:
    """Index among ``size`` pixels that each of ``new_size`` pixels shows.

    Returns:
        Ascending positions, an int64 tensor of shape (new_size,).
    """
    step = 1.0 / (new_size / size)  # not size / new_size: OpenCV rounds twice
    position = torch.arange(new_size, dtype=torch.float64, device=device)
    return position.mul_(step).long().clamp_(max=size - 1)


def resize_label_map(
    labels: Tensor, from_hw: Size, to_hw: Size, padded_hw: Size, pad_value: float = 0
) -> Tensor:
    """Resizes maps of labels and pads them at the bottom and on the right.

    Args:
        labels: Maps of any type and shape (..., H, W), each with its image in the upper left corner
            and padding elsewhere.
        from_hw: Size (height, width) of the image in pixels.
        to_hw: New size of the image.
        padded_hw: New size of the maps, at least ``to_hw``.
        pad_value: What the rest is filled with.

    Returns:
        New maps of shape (..., *padded_hw) and the same type.

    Raises:
        ValueError: The maps are smaller than the image.
    """
    check_map_size((labels.shape[-2], labels.shape[-1]), from_hw)
    rows, columns = (
        nearest_index(side, new_side, labels.device)
        for side, new_side in zip(from_hw, to_hw, strict=True)
    )
    resized = labels.index_select(-2, rows).index_select(-1, columns)
    return pad_corner(resized, padded_hw, pad_value)


def check_map_size(map_hw: Size, image_hw: Size) -> None:
    """Raises ValueError if a map of labels is smaller than its image."""
    if map_hw[0] < image_hw[0] or map_hw[1] < image_hw[1]:
        raise ValueError(
            'a map of labels must be at least as large as its image, got '
            f'{tuple(map_hw)} for an image of {tuple(image_hw)} pixels; a batch augmentation that '
            'resizes images must also resize their maps'
        )
