"""Network inputs converted back to pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

__all__ = ['input_pictures', 'is_rgb']


def input_pictures(inputs: Tensor, preprocessor: nn.Module, rgb: bool) -> list[np.ndarray]:
    """Undoes what a data preprocessor did to the values of a batch; padding stays.

    Args:
        inputs: Preprocessed images of shape (B, C, H, W), C being 1 or 3.
        preprocessor: What preprocessed them, for its ``mean`` and ``std``.
        rgb: Whether their channels are red, green, blue; otherwise they are blue, green, red.

    Returns:
        B pictures of shape (H, W, 3), uint8, RGB.

    Raises:
        ValueError: The images have another number of channels.
    """
    channels = inputs.shape[1]
    if channels not in (1, 3):
        raise ValueError(f'inputs must have 1 or 3 channels to be drawn, got {channels}')
    values = inputs.detach().float()
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if mean is not None and std is not None:
        values = values * std + mean
    pixels = values.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    if channels == 1:
        pixels = pixels.repeat(3, axis=-1)
    return [np.ascontiguousarray(image if rgb else image[..., ::-1]) for image in pixels]


def is_rgb(settings: Mapping[str, Any]) -> bool:
    """Returns whether a preprocessor yields RGB, from images that were loaded as BGR, the default.

    Args:
        settings: Its config, in the words of mmengine (``bgr_to_rgb``) or mmpretrain (``to_rgb``).
    """
    return bool(settings.get('bgr_to_rgb') or settings.get('to_rgb'))
