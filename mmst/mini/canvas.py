"""A small vector canvas with a transparency mask, on top of OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

__all__ = ['Canvas', 'Color', 'Point', 'Points', 'shaded', 'whole']

Color = tuple[int, int, int]
Point = tuple[float, float] | np.ndarray
"""x and y."""
Points = Sequence[Point] | np.ndarray
"""Of shape (N, 2) as an array."""

_SHIFT = 4  # OpenCV draws with 1 / 2**4 pixel resolution


class Canvas:
    """A square picture; coordinates run from -1 to 1, y points down.

    Args:
        size: Side length in pixels.

    Attributes:
        color: (S, S, 3) uint8, BGR.
        alpha: (S, S) uint8, 255 where something was drawn, else 0.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.color = np.zeros((size, size, 3), np.uint8)
        self.alpha = np.zeros((size, size), np.uint8)

    def polygon(self, points: Points, color: Color) -> None:
        """Fills a polygon."""
        fixed = [self._fixed(points)]
        cv2.fillPoly(self.color, fixed, color, shift=_SHIFT)
        cv2.fillPoly(self.alpha, fixed, (255,), shift=_SHIFT)

    def rectangle(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """Fills an upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color)

    def circle(self, center: Point, radius: float, color: Color) -> None:
        """Fills a circle."""
        self.polygon(_arc(center, radius, 0, 2 * np.pi), color)

    def line(self, points: Points, color: Color, width: float) -> None:
        """Draws a polyline of the given width."""
        fixed = [self._fixed(points)]
        pixels = max(1, round(width * self.size / 2))
        cv2.polylines(self.color, fixed, False, color, pixels, shift=_SHIFT)
        cv2.polylines(self.alpha, fixed, False, (255,), pixels, shift=_SHIFT)

    def arc(
        self, center: Point, radius: float, start: float, stop: float, color: Color, width: float
    ) -> None:
        """Draws a part of a circle; angles in radians, clockwise from the x axis."""
        self.line(_arc(center, radius, start, stop), color, width)

    def cut_circle(self, center: Point, radius: float) -> None:
        """Makes a circle transparent again."""
        fixed = [self._fixed(_arc(center, radius, 0, 2 * np.pi))]
        cv2.fillPoly(self.alpha, fixed, (0,), shift=_SHIFT)

    def text(self, text: str, color: Color, width: float) -> None:
        """Writes one centred line of text, ``width`` wide."""
        font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, self.size // 28)
        (unit_width, _), _ = cv2.getTextSize(text, font, 1.0, thickness)
        scale = width * self.size / 2 / unit_width
        (text_width, text_height), _ = cv2.getTextSize(text, font, scale, thickness)
        origin = (self.size - text_width) // 2, (self.size + text_height) // 2
        cv2.putText(self.color, text, origin, font, scale, color, thickness)

    def _fixed(self, points: Points) -> np.ndarray:
        pixels = (np.asarray(points, np.float64) + 1) / 2 * self.size
        return np.round(pixels * 2**_SHIFT).astype(np.int32)


def shaded(color: Color, shade: float) -> Color:
    """Returns a colour whose parts are multiplied by ``shade``, at most 255."""
    blue, green, red = (min(255, int(shade * part)) for part in color)
    return blue, green, red


def whole(color: Sequence[float] | np.ndarray) -> Color:
    """Returns a colour in whole numbers, rounded down."""
    blue, green, red = map(int, color)
    return blue, green, red


def _arc(center: Point, radius: float, start: float, stop: float) -> np.ndarray:
    angles = np.linspace(start, stop, 48)
    return np.asarray(center) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
