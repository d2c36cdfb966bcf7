"""Scenes: a picture and the objects in it, whatever data set they end up in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from .background import paint_background
from .canvas import Canvas
from .shapes import SHAPES

__all__ = ['Scene', 'SceneObject', 'make_scene']

_RENDER_SCALE = 2  # objects are painted at twice the size, then averaged down
_MAX_ROTATION_DEG = {'traffic light': 8, 'tv': 8, 'stop sign': 15, 'clock': 20, 'kite': 60}
_SIZES_HW = (
    (240, 320),
    (240, 320),
    (240, 320),
    (213, 320),
    (256, 320),
    (320, 240),
    (320, 213),
    (256, 256),
    (225, 300),
)
_MIN_VISIBLE = 0.45  # of each object's area, after all others are painted
_PERIOD, _CROWD_AT, _EMPTY_AT = 16, 5, 11  # of each 16 indices, one has a crowd, one nothing


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        category: A key of :data:`mmst.mini.shapes.SHAPES`.
        mask: (H, W) bool, the pixels where this object is *visible*. Masks of a
            scene's objects never overlap.
        crowd: Whether this is a group of objects that are not told apart.
    """

    category: str
    mask: np.ndarray
    crowd: bool = False


@dataclasses.dataclass(frozen=True)
class Scene:
    """A picture, (H, W, 3) uint8 BGR, and its objects from back to front."""

    image: np.ndarray
    objects: tuple[SceneObject, ...]


def make_scene(seed: Sequence[int]) -> Scene:
    """Paints one scene.

    Args:
        seed: Integers that determine the scene; the last one is its index in its
            split. Of each 16 indices one has no objects at all and one has a
            crowd, as happens now and then in COCO.

    Returns:
        The scene. Equal seeds give equal scenes.
    """
    rng = np.random.default_rng(list(seed))
    kind = seed[-1] % _PERIOD
    size_hw = _SIZES_HW[rng.integers(len(_SIZES_HW))]
    painter = _Painter(paint_background(size_hw, rng), rng)
    if kind != _EMPTY_AT:
        if kind == _CROWD_AT:
            painter.add_crowd()
        for _ in range(2 + min(rng.poisson(2.5), 7)):
            painter.add_object()
    return painter.finish()


class _Painter:
    """Paints objects onto a picture, the later ones over the earlier ones."""

    def __init__(self, picture: np.ndarray, rng: np.random.Generator) -> None:
        self._picture = picture
        self._rng = rng
        self._objects: list[SceneObject] = []
        self._full_areas: list[int] = []

    def add_object(self) -> None:
        """Adds one object where it leaves the others visible, if such a place is found."""
        names = list(SHAPES)
        category = names[self._rng.integers(len(names))]
        extent = np.sqrt(np.prod(self._picture.shape[:2]))
        size = extent * np.exp(self._rng.uniform(np.log(0.14), np.log(0.5)))
        color, alpha = _make_sprite(category, size, self._rng)
        for _ in range(20):
            placed = self._place(alpha)
            if placed is not None and self._leaves_others_visible(placed[1] > 0.5):
                self._paint(color, *placed)
                self._remember(category, placed[1] > 0.5, crowd=False)
                return

    def add_crowd(self) -> None:
        """Adds a heap of small objects of one category, as one crowd object."""
        height, width = self._picture.shape[:2]
        names = ('banana', 'donut', 'sports ball')
        category = names[self._rng.integers(len(names))]
        center = self._rng.uniform(0.3, 0.7, 2) * (width, height)
        heap = np.zeros((height, width), bool)
        for _ in range(14):
            color, alpha = _make_sprite(category, self._rng.uniform(24, 32), self._rng)
            offset = center + self._rng.normal(0, 0.07, 2) * (width, height)
            layer = _shift_onto(alpha, (height, width), offset)
            self._paint(color, offset, layer)
            heap |= layer > 0.5
        self._remember(category, heap, crowd=True)

    def finish(self) -> Scene:
        """Lights the picture, adds sensor noise, and returns the scene."""
        height, width = self._picture.shape[:2]
        corners = self._rng.uniform(0.75, 1.15, (2, 2)).astype(np.float32)
        light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        cast = self._rng.uniform(0.93, 1.07, 3)
        noise = self._rng.normal(0, self._rng.uniform(1, 6), self._picture.shape)
        image = np.clip(self._picture * light[..., None] * cast + noise, 0, 255).astype(np.uint8)
        return Scene(image, tuple(self._objects))

    def _place(self, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Draws a centre; returns it with the placed alpha, or None if too much is outside."""
        height, width = self._picture.shape[:2]
        center = self._rng.uniform(0.02, 0.98, 2) * (width, height)
        layer = _shift_onto(alpha, (height, width), center)
        return (center, layer) if layer.sum() >= 0.7 * alpha.sum() else None

    def _leaves_others_visible(self, mask: np.ndarray) -> bool:
        return all(
            (other.mask & ~mask).sum() >= _MIN_VISIBLE * area
            for other, area in zip(self._objects, self._full_areas, strict=True)
        )

    def _paint(self, color: np.ndarray, center: np.ndarray, layer: np.ndarray) -> None:
        shadow = _shadow(layer, 0.03 * np.sqrt(layer.sum()))
        self._picture *= 1 - 0.35 * shadow[..., None]
        self._picture *= 1 - layer[..., None]
        self._picture += _shift_onto(color, layer.shape, center)

    def _remember(self, category: str, mask: np.ndarray, crowd: bool) -> None:
        self._objects = [
            dataclasses.replace(other, mask=other.mask & ~mask) for other in self._objects
        ]
        self._objects.append(SceneObject(category, mask, crowd))
        self._full_areas.append(int(mask.sum()))


def _make_sprite(
    category: str, size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one rotated, stretched and lit object.

    Returns:
        Its colours (S, S, 3) float32 BGR in [0, 255], multiplied by its opacity, and
        its opacity (S, S) float32 in [0, 1]; S is large enough for any rotation.
    """
    canvas = Canvas(round(size * _RENDER_SCALE))
    SHAPES[category](canvas, rng)
    limit = _MAX_ROTATION_DEG.get(category, 180)
    side = int(np.ceil(size * 1.6))
    turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(-limit, limit), 1)[:, :2]
    matrix = turn @ np.diag(rng.uniform(0.85, 1.1, 2))
    shift = side * _RENDER_SCALE / 2 - matrix @ np.full(2, canvas.size / 2)
    warp = np.concatenate([matrix, shift[:, None]], axis=1)
    alpha = canvas.alpha.astype(np.float32) / 255
    layers = np.dstack([canvas.color * alpha[..., None], alpha])
    layers = cv2.warpAffine(layers, warp, (side * _RENDER_SCALE,) * 2)
    layers = cv2.resize(layers, (side, side), interpolation=cv2.INTER_AREA)
    corners = rng.uniform(0.75, 1.15, (2, 2)).astype(np.float32)
    return layers[..., :3] * cv2.resize(corners, (side, side))[..., None], layers[..., 3].copy()


def _shift_onto(layer: np.ndarray, size_hw: tuple[int, int], center: np.ndarray) -> np.ndarray:
    """Puts ``layer`` on an empty (H, W[, C]) picture, its middle at ``center`` (x, y)."""
    shift = np.asarray(center) - (np.asarray(layer.shape[1::-1]) - 1) / 2
    warp = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return cv2.warpAffine(layer, warp, size_hw[::-1])


def _shadow(layer: np.ndarray, distance: float) -> np.ndarray:
    """A soft shadow of ``layer``, below and to the right of it."""
    warp = np.array([[1, 0, distance], [0, 1, distance]])
    shifted = cv2.warpAffine(layer, warp, layer.shape[::-1])
    return cv2.GaussianBlur(shifted, (0, 0), max(0.5, distance))
