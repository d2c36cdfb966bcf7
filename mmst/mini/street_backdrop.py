"""The street in perspective: the ground, and the rows of things on both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from .scene import SceneObject

__all__ = ['Street', 'paint_street']

_RENDER_SCALE = 2
_CAMERA_HEIGHT = 1.4  # metres, as all lengths here
_NEAR, _FAR = 4.0, 90.0
_GROUND = {'terrain': (75, 125, 95), 'sidewalk': (150, 155, 165), 'road': (95, 92, 92)}
_FACADES = ((170, 195, 215), (140, 150, 160), (90, 110, 170), (185, 205, 200), (120, 150, 190))
_ROUGHNESS: dict[str | None, int] = {
    'vegetation': 22, 'terrain': 16, 'wall': 9, 'road': 6, 'sidewalk': 6, 'building': 5,
}  # fmt: skip

_Paint = Sequence[float] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Street:
    """A straight street and the camera in its right lane.

    Positions are metres from the camera: x to the right, y up from the ground, z ahead.

    Attributes:
        focal: Focal length in pixels.
        vanishing: The point (x, y) of the picture, in pixels, that the street runs to.
        road: Its left and right edge.
        sidewalk: The outer edges of the sidewalks.
    """

    focal: float
    vanishing: tuple[float, float]
    road: tuple[float, float]
    sidewalk: tuple[float, float]

    def project(self, points: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns where (N, 3) positions are in the picture, (N, 2) pixels."""
        x, y, z = np.asarray(points, float).T
        offsets = np.stack([x, _CAMERA_HEIGHT - y]) * self.focal / z
        return offsets.T + self.vanishing


def paint_street(
    size_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[SceneObject, ...], Street]:
    """Paints an empty street.

    Args:
        size_hw: Height and width in pixels.
        rng: Source of all variation.

    Returns:
        A new (H, W, 3) float32 picture, BGR, in [0, 255]; the stuff that it shows, in the names of
        Cityscapes; and the street, to put things into it. The bonnet of the camera's own car, at
        the lower edge, is of no category.
    """
    street = _random_street(size_hw, rng)
    layers = _Layers(size_hw, street)
    layers.sky(rng)
    _paint_ground(layers, street)
    for side in (0, 1):
        _paint_side(layers, street, side, rng)
    height, width = size_hw
    angles = np.linspace(np.pi, 2 * np.pi, 24)
    bonnet = np.stack([0.5 + 0.6 * np.cos(angles), 1.01 + 0.08 * np.sin(angles)], axis=1)
    layers.fill(None, bonnet * (width, height), (45, 42, 40))
    return (*layers.finish(rng), street)


class _Layers:
    """A picture and its label map, both painted at once."""

    def __init__(self, size_hw: tuple[int, int], street: Street) -> None:
        self._size_hw = size_hw
        self._street = street
        self._image = np.zeros((*(side * _RENDER_SCALE for side in size_hw), 3), np.uint8)
        self._labels = np.zeros(size_hw, np.uint8)
        self._categories: list[str | None] = [None]

    def sky(self, rng: np.random.Generator) -> None:
        """Fills everything with a sky."""
        top, bottom = (
            ((225, 165, 110), (240, 220, 195)),
            ((195, 190, 185), (225, 222, 218)),
            ((205, 170, 150), (190, 205, 235)),
        )[rng.integers(3)]
        blend = np.linspace(0, 1, len(self._image))[:, None, None]
        self._image[:] = np.asarray(top) * (1 - blend) + np.asarray(bottom) * blend
        self._labels[:] = self._label('sky')

    def fill(self, category: str | None, points: np.ndarray, color: _Paint) -> None:
        """Fills a polygon, given in pixels of the picture."""
        self.color(points, color)
        cv2.fillPoly(self._labels, [_fixed(points)], (self._label(category),), shift=4)

    def color(self, points: np.ndarray, color: _Paint) -> None:
        """Fills a polygon without changing what is there."""
        # Pixel centres are whole numbers at both scales.
        large = (points + 0.5) * _RENDER_SCALE - 0.5
        cv2.fillPoly(self._image, [_fixed(large)], tuple(map(float, color)), shift=4)

    def finish(self, rng: np.random.Generator) -> tuple[np.ndarray, tuple[SceneObject, ...]]:
        """Roughens the surfaces; returns the picture and its stuff."""
        height, width = self._size_hw
        picture = cv2.resize(self._image, (width, height), interpolation=cv2.INTER_AREA)
        coarse, fine = (
            cv2.resize(rng.uniform(-1, 1, (cells, 2 * cells)).astype(np.float32), (width, height))
            for cells in (24, 72)
        )
        roughness = np.array(
            [_ROUGHNESS.get(category, 2) for category in self._categories], np.float32
        )
        picture = picture + (roughness[self._labels] * (coarse + fine))[..., None]
        stuff = (
            SceneObject(category, self._labels == label)
            for label, category in enumerate(self._categories)
            if category is not None
        )
        return picture.astype(np.float32), tuple(stuff)

    def _label(self, category: str | None) -> int:
        if category not in self._categories:
            self._categories.append(category)
        return self._categories.index(category)


def _random_street(size_hw: tuple[int, int], rng: np.random.Generator) -> Street:
    height, width = size_hw
    vanishing = width * rng.uniform(0.42, 0.58), height * rng.uniform(0.4, 0.5)
    road = -1.8 - rng.uniform(3.4, 5.5), 1.8 + rng.uniform(0, 2.5)
    sidewalk = road[0] - rng.uniform(1.8, 3.5), road[1] + rng.uniform(1.8, 3.5)
    return Street(1.1 * width, vanishing, road, sidewalk)


def _paint_ground(layers: _Layers, street: Street) -> None:
    for category, (left, right) in (
        ('terrain', (-200.0, 200.0)),
        ('sidewalk', street.sidewalk),
        ('road', street.road),
    ):
        corners = [(left, 0, 400), (right, 0, 400), (right, 0, _NEAR), (left, 0, _NEAR)]
        layers.fill(category, street.project(corners), _GROUND[category])
    for z in np.arange(_NEAR, 60, 6):
        dash = [(x, 0, z + length) for x, length in ((-1.9, 0), (-1.7, 0), (-1.7, 3), (-1.9, 3))]
        layers.color(street.project(dash), (225, 225, 225))
    for edge, inwards in zip(street.road, (0.15, -0.15), strict=True):  # kerbs
        strip = [
            (edge, 0, 400),
            (edge + inwards, 0, 400),
            (edge + inwards, 0, _NEAR),
            (edge, 0, _NEAR),
        ]
        layers.color(street.project(strip), (185, 185, 185))


def _paint_side(layers: _Layers, street: Street, side: int, rng: np.random.Generator) -> None:
    """Lines one side of the street with buildings, walls, fences and bushes, far ones first."""
    edge, out = street.sidewalk[side], (-1, 1)[side]
    far = _FAR
    layers.fill('building', _block(street, edge, far, far + 40, 12)[0], (165, 160, 160))
    while far > _NEAR:
        near = max(_NEAR, far - rng.uniform(8, 18))
        kind = rng.choice(['building', 'wall', 'fence', 'vegetation'], p=[0.4, 0.2, 0.2, 0.2])
        if kind == 'building':
            _paint_building(layers, street, edge, (near, far), rng)
        else:
            x = edge + out * rng.uniform(1, 5)
            _paint_bushes(layers, street, x + out * 1.5, (near, far), rng)
            if kind == 'wall':
                _paint_wall(layers, street, x, (near, far), rng)
            elif kind == 'fence':
                _paint_fence(layers, street, x, (near, far), rng)
        far = near


def _block(street: Street, x: float, near: float, far: float, height: float) -> list[np.ndarray]:
    """The two visible faces of a block: along the street, and towards the camera."""
    out = np.sign(x) * 14
    along = [(x, 0, near), (x, height, near), (x, height, far), (x, 0, far)]
    ahead = [(x, 0, near), (x, height, near), (x + out, height, near), (x + out, 0, near)]
    return [street.project(along), street.project(ahead)]


def _paint_building(
    layers: _Layers, street: Street, x: float, span: tuple[float, float], rng: np.random.Generator
) -> None:
    near, far = span
    facade = np.array(_FACADES[rng.integers(len(_FACADES))]) + rng.uniform(-20, 20, 3)
    floors = int(rng.integers(2, 6))
    along, ahead = _block(street, x, near, far, 3.2 * floors + 0.6)
    layers.fill('building', ahead, 0.75 * facade)
    layers.fill('building', along, facade)
    glass = np.array((110, 95, 80)) + rng.uniform(-30, 30, 3)
    count = int((far - near) // 2.6)
    for z in near + 0.8 + (far - near) / max(1, count) * np.arange(count):
        for floor in range(floors):
            low, high = 3.2 * floor + 1, 3.2 * floor + 2.7
            window = [(x, low, z), (x, high, z), (x, high, z + 1.3), (x, low, z + 1.3)]
            layers.color(street.project(window), glass * rng.uniform(0.8, 1.2))


def _paint_wall(
    layers: _Layers, street: Street, x: float, span: tuple[float, float], rng: np.random.Generator
) -> None:
    stone = np.array((150, 160, 170)) * rng.uniform(0.7, 1.1) + rng.uniform(-10, 10, 3)
    height = rng.uniform(1.6, 2.6)
    near, far = span
    layers.fill('wall', _block(street, x, near, far, height)[0], stone)
    for y in np.arange(0.4, height, 0.4):
        course = [(x, y, near), (x, y + 0.06, near), (x, y + 0.06, far), (x, y, far)]
        layers.color(street.project(course), 0.75 * stone)


def _paint_fence(
    layers: _Layers, street: Street, x: float, span: tuple[float, float], rng: np.random.Generator
) -> None:
    near, far = span
    paint, height = rng.uniform(40, 200) + rng.uniform(-15, 15, 3), rng.uniform(1.1, 1.6)
    # Between its bars one sees what is behind, but Cityscapes labels it as a whole.
    layers.fill('fence', _block(street, x, near, far, height)[0], 0.4 * paint + (45, 60, 50))
    for y in (0.15, height - 0.12):
        rail = [(x, y, near), (x, y + 0.12, near), (x, y + 0.12, far), (x, y, far)]
        layers.color(street.project(rail), paint)
    for z in np.arange(near, far, 0.5):
        bar = [(x, 0, z), (x, height, z), (x, height, z + 0.14), (x, 0, z + 0.14)]
        layers.color(street.project(bar), paint)


def _paint_bushes(
    layers: _Layers, street: Street, x: float, span: tuple[float, float], rng: np.random.Generator
) -> None:
    depths = np.linspace(*span, 12)
    tops = rng.uniform(2.5, 5) + rng.uniform(-0.8, 0.8, 12)
    outline = [*zip([x] * 12, tops, depths, strict=True), (x, 0, span[1]), (x, 0, span[0])]
    leaves = np.array((55, 115, 70)) * rng.uniform(0.7, 1.2)
    ahead = [(x, 0, span[0]), (x, tops[0], span[0]), (x + np.sign(x) * 14, tops[0], span[0])]
    layers.fill(
        'vegetation', street.project([*ahead, (x + np.sign(x) * 14, 0, span[0])]), 0.8 * leaves
    )
    layers.fill('vegetation', street.project(outline), leaves)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(np.clip(points, -20_000, 20_000) * 2**4).astype(np.int32)
