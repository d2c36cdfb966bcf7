"""Scenes of people among objects: for human pose estimation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .figure import draw_figure
from .objects import CROWD_AT, EMPTY_AT, add_object, begin_scene
from .scene import Painter, Scene, SceneObject
from .sprite import Sprite, make_sprite

__all__ = ['make_people_scene']


def make_people_scene(seed: Sequence[int]) -> Scene:
    """Paints one to three people, objects behind them and, now and then, one before them.

    Args:
        seed: As in :func:`~mmst.mini.objects.make_object_scene`; the same indices have
            nothing, and a crowd.

    Returns:
        The scene, in COCO's names; people (no crowds) have keypoints. Equal seeds give equal
        scenes.
    """
    painter, rng, kind = begin_scene(seed)
    if kind != EMPTY_AT:
        for _ in range(rng.integers(0, 3)):
            add_object(painter, rng)
        if kind == CROWD_AT:
            _add_crowd(painter, rng)
        for _ in range(rng.integers(1, 4)):
            height = min(painter.size_hw) * rng.uniform(0.35, 0.95)
            painter.place('person', _person(height, rng), min_inside=0.85)
        if rng.uniform() < 0.4:
            add_object(painter, rng)
    return painter.finish()


def _person(height: float, rng: np.random.Generator) -> Sprite:
    return make_sprite(draw_figure, height, rng, max_rotation_deg=10)


def _add_crowd(painter: Painter, rng: np.random.Generator) -> None:
    """Adds a row of small people, as one crowd object."""
    height, width = painter.size_hw
    row = np.zeros((height, width), bool)
    for x in np.linspace(0.1, 0.9, 9):
        center = (x + rng.normal(0, 0.02), 0.25 + rng.normal(0, 0.02))
        row |= painter.paint(_person(0.2 * height, rng), np.array(center) * (width, height))
    painter.remember(SceneObject('person', row, crowd=True))
