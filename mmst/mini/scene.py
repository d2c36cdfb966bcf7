"""Scenes: a picture and the places of its objects, for any data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from .sprite import Sprite

__all__ = ['Painter', 'Scene', 'SceneObject']

_MIN_VISIBLE = 0.45  # of each object's area, after all others are painted


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """One object of a scene, or one kind of stuff.

    Attributes:
        category: Its name, in the words of the data set it is for.
        mask: (H, W) bool, the pixels where it is *visible*. Masks of a scene never overlap.
        crowd: Whether this is a group of objects that are not told apart.
        keypoints: (K, 3) float64 or None: x and y in pixels, the first pixel's centre being 0, and
            COCO's visibility: 0 not labelled (then x and y are 0 too), 1 hidden, 2 visible.
    """

    category: str
    mask: np.ndarray
    crowd: bool = False
    keypoints: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Scene:
    """A picture and what it shows.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        objects: From back to front.
        stuff: What is behind the objects, one entry for each category. A pixel of no object and no
            stuff is of unknown category.
    """

    image: np.ndarray
    objects: tuple[SceneObject, ...]
    stuff: tuple[SceneObject, ...] = ()


class Painter:
    """Paints sprites onto a picture, the later ones over the earlier ones.

    Args:
        picture: (H, W, 3) float32 BGR in [0, 255], painted in place.
        rng: Source of all variation.
        stuff: What the picture shows so far.
    """

    def __init__(
        self, picture: np.ndarray, rng: np.random.Generator, stuff: Sequence[SceneObject] = ()
    ) -> None:
        self._picture = picture
        self._rng = rng
        self._stuff = list(stuff)
        self._objects: list[SceneObject] = []
        self._full_areas: list[int] = []

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        height, width = self._picture.shape[:2]
        return height, width

    def place(self, category: str, sprite: Sprite, min_inside: float = 0.7) -> None:
        """Adds an object where it leaves the others visible, if there is such a place.

        Args:
            category: Its name.
            sprite: What it looks like.
            min_inside: Part of it that must be inside the picture.
        """
        height, width = self.size_hw
        for _ in range(20):
            center = self._rng.uniform(0.02, 0.98, 2) * (width, height)
            layer = self._layer(sprite, center)
            inside = layer.sum() >= min_inside * sprite.alpha.sum()
            if inside and self._leaves_others_visible(layer > 0.5):
                self.add(category, sprite, center)
                return

    def add(self, category: str, sprite: Sprite, center: np.ndarray) -> None:
        """Adds an object with its middle at ``center`` (x, y)."""
        mask = self.paint(sprite, center)
        keypoints = sprite.keypoints
        if keypoints is not None:
            keypoints = keypoints + (*center, 0)
        self.remember(SceneObject(category, mask, keypoints=keypoints))

    def paint(self, sprite: Sprite, center: np.ndarray) -> np.ndarray:
        """Paints a sprite and its shadow; :meth:`remember` notes the object.

        Returns:
            (H, W) bool, the pixels that it covers.
        """
        layer = self._layer(sprite, center)
        distance = 0.03 * np.sqrt(layer.sum())
        reach = int(np.ceil(distance + 4 * max(0.5, distance))) + 3
        window = self._window(sprite, center, reach)
        alpha = sprite.alpha_onto(center, window)
        picture = self._picture[window]
        picture *= 1 - 0.35 * _shadow(alpha, distance)[..., None]
        picture *= 1 - alpha[..., None]
        picture += sprite.color_onto(center, window)
        return layer > 0.5

    def remember(self, obj: SceneObject) -> None:
        """Notes an object that was painted; whatever it covers is no longer visible."""
        self._objects = _without(obj.mask, self._objects)
        self._stuff = _without(obj.mask, self._stuff)
        self._objects.append(obj)
        self._full_areas.append(int(obj.mask.sum()))

    def finish(self, noise: tuple[float, float] = (1, 6)) -> Scene:
        """Lights the picture, adds sensor noise, and returns the scene.

        Args:
            noise: Range of the noise's standard deviation, in grey levels.
        """
        height, width = self.size_hw
        corners = self._rng.uniform(0.75, 1.15, (2, 2)).astype(np.float32)
        light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        cast = self._rng.uniform(0.93, 1.07, 3)
        grain = self._rng.normal(0, self._rng.uniform(*noise), self._picture.shape)
        image = np.clip(self._picture * light[..., None] * cast + grain, 0, 255).astype(np.uint8)
        stuff = tuple(part for part in self._stuff if part.mask.any())
        return Scene(image, tuple(_with_visibility(obj) for obj in self._objects), stuff)

    def _window(self, sprite: Sprite, center: np.ndarray, reach: int) -> tuple[slice, slice]:
        """Rows and columns of the picture within ``reach`` pixels of a sprite."""
        half = np.asarray(sprite.alpha.shape) / 2 + reach
        middle = np.asarray(center)[::-1]
        low = np.clip(np.floor(middle - half), 0, np.array(self.size_hw) - 1).astype(int)
        high = np.clip(np.ceil(middle + half), low + 1, self.size_hw).astype(int)
        return slice(low[0], high[0]), slice(low[1], high[1])

    def _layer(self, sprite: Sprite, center: np.ndarray) -> np.ndarray:
        """Opacity of a placed sprite over the whole picture, (H, W) float32."""
        layer = np.zeros(self.size_hw, np.float32)
        window = self._window(sprite, center, reach=2)
        layer[window] = sprite.alpha_onto(center, window)
        return layer

    def _leaves_others_visible(self, mask: np.ndarray) -> bool:
        return all(
            (other.mask & ~mask).sum() >= _MIN_VISIBLE * area
            for other, area in zip(self._objects, self._full_areas, strict=True)
        )


def _without(mask: np.ndarray, parts: Sequence[SceneObject]) -> list[SceneObject]:
    return [dataclasses.replace(part, mask=part.mask & ~mask) for part in parts]


def _with_visibility(obj: SceneObject) -> SceneObject:
    """Decides which keypoints are visible; those outside the picture cannot be labelled."""
    if obj.keypoints is None:
        return obj
    height, width = obj.mask.shape
    column, row = np.round(obj.keypoints[:, :2]).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = obj.mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    visibility = np.where(seen, obj.keypoints[:, 2], np.minimum(obj.keypoints[:, 2], 1)) * inside
    keypoints = np.column_stack([obj.keypoints[:, :2], visibility]) * (visibility > 0)[:, None]
    return dataclasses.replace(obj, keypoints=keypoints)


def _shadow(layer: np.ndarray, distance: float) -> np.ndarray:
    """A soft shadow of ``layer``, below and to the right of it."""
    warp = np.array([[1, 0, distance], [0, 1, distance]])
    shifted = cv2.warpAffine(layer, warp, layer.shape[::-1])
    return cv2.GaussianBlur(shifted, (0, 0), max(0.5, distance))
