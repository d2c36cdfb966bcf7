"""Scenes of streets with traffic, seen from a car: for semantic segmentation."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from . import street_shapes
from .figure import WALKING, draw_figure
from .scene import Painter, Scene
from .shapes import SHAPES
from .sprite import Drawing, Sprite, make_sprite
from .street_backdrop import Street, paint_street

__all__ = ['make_street_scene']

_SIZE_HW = (192, 384)
_NOISE = (0.3, 1.2)  # grey levels; noise is most of what a PNG file stores

# Category -> function, and side of its canvas in metres.
_FOUR_WHEELS = {
    'car': (street_shapes.car, 1.9),
    'truck': (street_shapes.truck, 3.6),
    'bus': (street_shapes.bus, 3.3),
}
_TWO_WHEELS = {
    'bicycle': (street_shapes.bicycle, 1.9),
    'motorcycle': (street_shapes.motorcycle, 2.0),
}
_SIGNS = (*[street_shapes.sign] * 3, SHAPES['stop sign'])


def make_street_scene(seed: Sequence[int]) -> Scene:
    """Paints a street with its traffic.

    Args:
        seed: Integers that determine the scene.

    Returns:
        The scene, in the names of the 19 classes of Cityscapes. Equal seeds give equal scenes.
    """
    rng = np.random.default_rng(list(seed))
    picture, stuff, street = paint_street(_SIZE_HW, rng)
    painter = Painter(picture, rng, stuff)
    things = sorted(_Traffic(street, rng).things(), key=lambda thing: -thing.distance)
    for thing in things:
        for category, sprite, center in thing.parts:
            painter.add(category, sprite, center)
    return painter.finish(_NOISE)


class _Thing(NamedTuple):
    """Something in a street: how far away it is, and its parts from back to front."""

    distance: float
    parts: list[tuple[str, Sprite, np.ndarray]]


class _Traffic:
    """Things that stand and move in a street.

    Args:
        street: The street.
        rng: Source of all variation.
    """

    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self._street = street
        self._rng = rng

    def things(self) -> Iterator[_Thing]:
        """Yields all things, in any order."""
        left, right = self._street.road
        for _ in range(self._rng.integers(2, 6)):
            yield self._vehicle('car')
        for category, chance in (('truck', 0.35), ('bus', 0.35)):
            if self._rng.uniform() < chance:
                yield self._vehicle(category)
        if self._rng.uniform() < 0.4:
            yield self._thing('train', street_shapes.train, 3.6, -3.6, (12, 35))
        for category in _TWO_WHEELS:
            if self._rng.uniform() < 0.5:
                yield self._two_wheels(category, ridden=False)
            if self._rng.uniform() < 0.4:
                yield self._two_wheels(category, ridden=True)
        for _ in range(self._rng.integers(2, 6)):
            figure = functools.partial(draw_figure, pose=WALKING)
            x = self._on_sidewalk() if self._rng.uniform() < 0.8 else self._rng.uniform(left, right)
            yield self._thing('person', figure, self._rng.uniform(1.5, 1.9), x, (8, 35))
        for _ in range(self._rng.integers(0, 3)):
            x = self._on_sidewalk(outer=True)
            yield self._thing(
                'vegetation', street_shapes.tree, self._rng.uniform(4, 6.5), x, (12, 45)
            )
        for _ in range(self._rng.integers(2, 5)):
            yield self._pole()

    def _vehicle(self, category: str) -> _Thing:
        draw, metres = _FOUR_WHEELS[category]
        lane = self._rng.integers(3)
        parked = self._street.road[1] - 1.1
        x = (self._rng.normal(0, 0.3), -3.6 + self._rng.normal(0, 0.3), parked)[lane]
        nearest = 11 if lane == 0 else 8
        front = bool(lane == 1)
        return self._thing(category, functools.partial(draw, front=front), metres, x, (nearest, 50))

    def _two_wheels(self, category: str, ridden: bool) -> _Thing:
        draw, metres = _TWO_WHEELS[category]
        facing = int(self._rng.choice([-1, 1]))
        x = self._rng.uniform(*self._street.road) if ridden else self._on_sidewalk()
        z = self._rng.uniform(8, 28)
        drawings = [(category, draw)] + [('rider', street_shapes.rider)] * ridden
        sprites = [
            (name, self._sprite(functools.partial(drawing, facing=facing), metres, z))
            for name, drawing in drawings
        ]
        return _Thing(z, [(name, sprite, self._stand(sprite, x, z)) for name, sprite in sprites])

    def _pole(self) -> _Thing:
        """A pole on the kerb with, at its top, a sign, a traffic light, both or nothing."""
        z, side = self._rng.uniform(10, 40), self._rng.integers(2)
        x = self._street.road[side] + (-0.4, 0.4)[side]
        height = self._rng.uniform(2.6, 5)
        top, foot = self._street.project([(x, height, z), (x, 0, z)])
        shaft = _bar(0.13 * self._street.focal / z, foot[1] - top[1], self._rng)
        parts = [('pole', shaft, (top + foot) / 2)]
        for category, draw, metres, drop, chance in (
            ('traffic sign', _SIGNS[self._rng.integers(len(_SIGNS))], 0.9, 0.5, 0.7),
            ('traffic light', SHAPES['traffic light'], 1.1, 1.5, 0.6),
        ):
            if self._rng.uniform() < chance:
                (center,) = self._street.project([(x, height - drop, z)])
                parts.append((category, self._sprite(draw, metres, z), center))
        return _Thing(z, parts)

    def _thing(
        self, category: str, draw: Drawing, metres: float, x: float, span: tuple[float, float]
    ) -> _Thing:
        """One thing that stands on the ground, at a distance within ``span``."""
        z = self._rng.uniform(*span)
        sprite = self._sprite(draw, metres, z)
        return _Thing(z, [(category, sprite, self._stand(sprite, x, z))])

    def _sprite(self, draw: Drawing, metres: float, z: float) -> Sprite:
        size = metres * self._street.focal / z
        return make_sprite(draw, size, self._rng, max_rotation_deg=0, stretch=(1, 1))

    def _stand(self, sprite: Sprite, x: float, z: float) -> np.ndarray:
        """The middle of a sprite whose canvas stands on the ground at (x, z)."""
        return self._street.project([(x, 0, z)])[0] - sprite.locate((0, 1))

    def _on_sidewalk(self, outer: bool = False) -> float:
        side = self._rng.integers(2)
        part = self._rng.uniform(0.75, 1) if outer else self._rng.uniform(0.2, 0.8)
        return self._street.road[side] * (1 - part) + self._street.sidewalk[side] * part


def _bar(width: float, height: float, rng: np.random.Generator) -> Sprite:
    """A plain upright bar, at least a pixel and a half wide."""
    rows, columns = max(2, round(height)), max(1.5, width)
    alpha = np.zeros((rows + 2, int(np.ceil(columns)) + 2), np.float32)
    alpha[1:-1, 1:-1] = columns / np.ceil(columns)
    grey = np.float32(rng.uniform(70, 150) + rng.uniform(-8, 8, 3))
    return Sprite(alpha[..., None] * grey, alpha, np.eye(2, 3))
