"""The resize of one image of a batch, which its ground truth follows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mmengine.model import BaseDataPreprocessor

from mmst.core.resize import Size

__all__ = ['ImageResize', 'pad_like']


@dataclass(frozen=True)
class ImageResize:
    """The resize of one image of a batch. Sizes are (height, width) in pixels.

    Args:
        from_hw: Size of the image, without padding.
        to_hw: Its new size.
        main_hw: Size of the main network's batch, with padding.
        padded_hw: New size of the batch, with padding.
        divisor_hw: What padded sides differ from the main network's by multiples of.
        preprocessor: The model's data preprocessor, for the settings of its padding.
        keeps_canvas: Whether the batch keeps the main network's size, whatever its images have.
    """

    from_hw: Size
    to_hw: Size
    main_hw: Size
    padded_hw: Size
    divisor_hw: Size
    preprocessor: BaseDataPreprocessor
    keeps_canvas: bool = False

    @functools.cached_property
    def padded_alone_hw(self) -> Size:
        """Padded size of the resized image in a batch of one."""
        return pad_like(self.main_hw, self.to_hw, self.divisor_hw)

    @property
    def factor_xy(self) -> tuple[float, float]:
        """Factors of horizontal and vertical coordinates."""
        return self.to_hw[1] / self.from_hw[1], self.to_hw[0] / self.from_hw[0]

    @property
    def ratio(self) -> float:
        """Factor of lengths that have no direction: that of the shorter side."""
        return min(self.to_hw) / min(self.from_hw)


def pad_like(main_hw: Size, size_hw: Size, divisor_hw: Size) -> Size:
    """Rounds both sides of a size up until they leave the remainder of ``main_hw``."""
    sides = zip(main_hw, size_hw, divisor_hw, strict=True)
    height, width = (side + (main - side) % divisor for main, side, divisor in sides)
    return height, width
