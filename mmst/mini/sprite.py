"""Sprites: one drawn thing, rotated, stretched and lit, ready to be put into a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from .canvas import Canvas, Point, Points

__all__ = ['Drawing', 'Sprite', 'make_sprite']

Drawing = Callable[[Canvas, np.random.Generator], np.ndarray | None]
"""Draws one thing as large as its canvas allows; may return keypoints, see :class:`Sprite`."""

_RENDER_SCALE = 2  # sprites are drawn at twice their size, then averaged down


@dataclasses.dataclass(frozen=True)
class Sprite:
    """One drawn thing.

    Attributes:
        color: (S, S, 3) float32 BGR in [0, 255], multiplied by the opacity.
        alpha: (S, S) float32 in [0, 1], the opacity.
        warp: (2, 3) float64, from coordinates of the canvas to pixels from the sprite's middle.
        keypoints: (K, 3) float64 or None: x and y in pixels from the sprite's middle, and COCO's
            visibility as far as it is known here (0 not labelled, 1 hidden, 2 visible).
    """

    color: np.ndarray
    alpha: np.ndarray
    warp: np.ndarray
    keypoints: np.ndarray | None = None

    def locate(self, points: Point | Points) -> np.ndarray:
        """Returns where (..., 2) points of the canvas are, in pixels from the sprite's middle."""
        return np.asarray(points) @ self.warp[:, :2].T + self.warp[:, 2]

    def color_onto(self, center: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """Returns the colour (h, w, 3) of a part of a picture with the sprite in it.

        Args:
            center: Where the sprite's middle is in the picture, (x, y) in pixels.
            window: Rows and columns of the picture that are wanted.
        """
        return self._onto(self.color, center, window)

    def alpha_onto(self, center: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """Returns the opacity (h, w), as :meth:`color_onto` does the colour."""
        return self._onto(self.alpha, center, window)

    def _onto(
        self, layer: np.ndarray, center: np.ndarray, window: tuple[slice, slice]
    ) -> np.ndarray:
        rows, columns = window
        origin = np.array([columns.start, rows.start])
        shift = np.asarray(center) - (np.asarray(self.alpha.shape[::-1]) - 1) / 2 - origin
        warp = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        return cv2.warpAffine(layer, warp, (columns.stop - columns.start, rows.stop - rows.start))


def make_sprite(
    draw: Drawing,
    size: float,
    rng: np.random.Generator,
    max_rotation_deg: float = 180,
    stretch: tuple[float, float] = (0.85, 1.1),
) -> Sprite:
    """Draws one thing ``size`` pixels large.

    Args:
        draw: Draws it upright.
        size: Side of its canvas in pixels.
        rng: Source of all variation.
        max_rotation_deg: It is rotated by at most this angle, either way.
        stretch: Range of the factors by which its width and its height are stretched.

    Returns:
        The sprite, with room for that.
    """
    canvas = Canvas(round(size * _RENDER_SCALE))
    keypoints = draw(canvas, rng)
    side = int(np.ceil(size * (1.6 if max_rotation_deg else 1.15)))
    turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(-max_rotation_deg, max_rotation_deg), 1)
    matrix = turn[:, :2] @ np.diag(rng.uniform(*stretch, 2))
    color, alpha = _render(canvas, matrix, side)
    corners = rng.uniform(0.75, 1.15, (2, 2)).astype(np.float32)
    color = color * cv2.resize(corners, (side, side))[..., None]
    # Averaging _RENDER_SCALE pixels moves the centre of the first one to their middle.
    warp = np.column_stack([matrix * canvas.size, np.full(2, _RENDER_SCALE - 1)])
    sprite = Sprite(color, alpha, warp / (2 * _RENDER_SCALE))
    if keypoints is None:
        return sprite
    located = np.column_stack([sprite.locate(keypoints[:, :2]), keypoints[:, 2]])
    return dataclasses.replace(sprite, keypoints=located)


def _render(canvas: Canvas, matrix: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Warps a canvas about its middle; returns colour (times opacity) and opacity."""
    large = side * _RENDER_SCALE
    shift = large / 2 - matrix @ np.full(2, canvas.size / 2)
    warp = np.concatenate([matrix, shift[:, None]], axis=1)
    alpha = canvas.alpha.astype(np.float32) / 255
    layers = np.dstack([canvas.color * alpha[..., None], alpha])
    layers = cv2.warpAffine(layers, warp, (large, large))
    layers = cv2.resize(layers, (side, side), interpolation=cv2.INTER_AREA)
    return layers[..., :3], layers[..., 3].copy()
