"""Image checks of transforms for mmpretrain's pipelines."""

from __future__ import annotations

import numpy as np

__all__ = ['check_uint8_image']


def check_uint8_image(owner: str, image: np.ndarray) -> None:
    """Raises ValueError unless an image is (H, W, 3) uint8; ``owner`` is the transform's name."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f'{owner} needs images of shape (H, W, 3) and type uint8, got {image.shape} '
            f'and {image.dtype}; put it before transforms that make images float or grey'
        )
