"""Scenes of objects in front of a background: for detection and panoptic segmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .background import paint_background
from .scene import Painter, Scene, SceneObject
from .shapes import SHAPES
from .sprite import make_sprite

__all__ = ['CROWD_AT', 'EMPTY_AT', 'PERIOD', 'add_object', 'begin_scene', 'make_object_scene']

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
PERIOD, CROWD_AT, EMPTY_AT = 16, 5, 11  # of each 16 indices, one has a crowd, one nothing


def make_object_scene(seed: Sequence[int]) -> Scene:
    """Paints objects of :data:`mmst.mini.shapes.SHAPES`.

    Args:
        seed: Integers that determine the scene; the last one is its index in its
            split. Of each 16 indices one has no objects at all and one has a
            crowd, as happens now and then in COCO.

    Returns:
        The scene, in COCO's names. Equal seeds give equal scenes.
    """
    painter, rng, kind = begin_scene(seed)
    if kind != EMPTY_AT:
        if kind == CROWD_AT:
            _add_crowd(painter, rng)
        for _ in range(2 + min(rng.poisson(2.5), 7)):
            add_object(painter, rng)
    return painter.finish()


def begin_scene(seed: Sequence[int]) -> tuple[Painter, np.random.Generator, int]:
    """Paints the background of a scene.

    Args:
        seed: Integers that determine the scene; the last one is its index in its split.

    Returns:
        The painter, its random numbers, and the index within :data:`PERIOD`.
    """
    rng = np.random.default_rng(list(seed))
    picture, stuff = paint_background(_random_size_hw(rng), rng)
    return Painter(picture, rng, stuff), rng, seed[-1] % PERIOD


def _random_size_hw(rng: np.random.Generator) -> tuple[int, int]:
    """Draws the size of a picture: mostly landscape, as in COCO."""
    return _SIZES_HW[rng.integers(len(_SIZES_HW))]


def add_object(painter: Painter, rng: np.random.Generator) -> None:
    """Adds one object where it leaves the others visible, if there is such a place."""
    names = list(SHAPES)
    category = names[rng.integers(len(names))]
    extent = np.sqrt(np.prod(painter.size_hw))
    size = extent * np.exp(rng.uniform(np.log(0.14), np.log(0.5)))
    limit = _MAX_ROTATION_DEG.get(category, 180)
    painter.place(category, make_sprite(SHAPES[category], size, rng, limit))


def _add_crowd(painter: Painter, rng: np.random.Generator) -> None:
    """Adds a heap of small objects of one category, as one crowd object."""
    height, width = painter.size_hw
    names = ('banana', 'donut', 'sports ball')
    category = names[rng.integers(len(names))]
    center = rng.uniform(0.3, 0.7, 2) * (width, height)
    heap = np.zeros((height, width), bool)
    for _ in range(14):
        sprite = make_sprite(SHAPES[category], rng.uniform(24, 32), rng)
        heap |= painter.paint(sprite, center + rng.normal(0, 0.07, 2) * (width, height))
    painter.remember(SceneObject(category, heap, crowd=True))
