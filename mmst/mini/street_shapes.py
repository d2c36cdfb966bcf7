"""Things that stand and move in a street: one drawing for each kind.

As in :mod:`mmst.mini.shapes`, but not rotated afterwards: the lower edge of the
canvas is the ground. Vehicles of four wheels are seen from behind or from the
front, those of two from the side.
"""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Color, Point, shaded, whole
from .shapes import vary

__all__ = ['bicycle', 'bus', 'car', 'motorcycle', 'rider', 'sign', 'train', 'tree', 'truck']

_TYRE, _GLASS, _METAL = (28, 28, 30), (105, 85, 65), (120, 120, 122)
_PAINTS = (
    (40, 40, 200),
    (190, 90, 30),
    (205, 205, 205),
    (60, 60, 65),
    (60, 120, 40),
    (35, 170, 220),
)


def car(canvas: Canvas, rng: np.random.Generator, front: bool = False) -> None:
    """Draws a car."""
    paint = vary(rng, _PAINTS[rng.integers(len(_PAINTS))])
    _wheels(canvas, 0.88, 0.3)
    canvas.polygon(_trapezoid(0.62, -0.58, 0.84, 0.3), paint)
    canvas.rectangle(-0.95, 0.14, 0.95, 0.82, paint)
    canvas.polygon(_trapezoid(0.54, -0.48, 0.7, 0.12), vary(rng, _GLASS, 15))
    canvas.rectangle(-0.95, 0.7, 0.95, 0.84, (50, 50, 52))
    _lights(canvas, 0.72, 0.36, 0.14, front)
    canvas.rectangle(-0.24, 0.52, 0.24, 0.66, (235, 235, 235))


def truck(canvas: Canvas, rng: np.random.Generator, front: bool = False) -> None:
    """Draws a truck: a box on wheels, behind a cab when it is seen from the front."""
    _wheels(canvas, 0.62, 0.2)
    box = vary(rng, (205, 205, 200), 40)
    canvas.rectangle(-0.68, -0.98, 0.68, 0.68, box)
    canvas.rectangle(-0.68, 0.62, 0.68, 0.78, (55, 55, 58))
    if front:
        canvas.rectangle(-0.64, -0.45, 0.64, 0.72, vary(rng, _PAINTS[rng.integers(len(_PAINTS))]))
        canvas.rectangle(-0.56, -0.35, 0.56, 0.12, vary(rng, _GLASS, 15))
    else:
        seam = shaded(box, 0.6)
        canvas.line([(0, -0.95), (0, 0.6)], seam, 0.04)
        for y in (-0.6, 0.1):
            canvas.line([(-0.66, y), (0.66, y)], seam, 0.03)
    _lights(canvas, 0.54, 0.6, 0.08, front)


def bus(canvas: Canvas, rng: np.random.Generator, front: bool = False) -> None:
    """Draws a bus: glass in its upper half, and a lit board above."""
    paint = vary(rng, ((40, 190, 235), (45, 45, 205), (200, 150, 60))[rng.integers(3)])
    _wheels(canvas, 0.66, 0.22)
    canvas.rectangle(-0.76, -0.94, 0.76, 0.84, paint)
    canvas.rectangle(-0.68, -0.62, 0.68, 0.12, vary(rng, _GLASS, 15))
    canvas.rectangle(-0.5, -0.88, 0.5, -0.68, (25, 25, 25))
    canvas.line([(-0.4, -0.78), (0.4, -0.78)], (60, 190, 250), 0.07)
    _lights(canvas, 0.6, 0.5, 0.11, front)


def train(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws a tram: a tall narrow face with one wide window, a skirt and a pantograph."""
    paint = vary(rng, ((60, 200, 245), (230, 230, 230))[rng.integers(2)], 15)
    canvas.line([(-0.2, -0.78), (0, -0.98), (0.2, -0.78)], _METAL, 0.04)
    canvas.polygon([*_trapezoid(0.46, -0.82, 0.6, -0.55), (-0.6, 0.9), (0.6, 0.9)], paint)
    canvas.rectangle(-0.6, -0.55, 0.6, 0.9, paint)
    canvas.polygon(_trapezoid(0.42, -0.68, 0.52, 0.1), vary(rng, _GLASS, 15))
    canvas.rectangle(-0.6, 0.28, 0.6, 0.4, vary(rng, (60, 50, 190)))
    canvas.rectangle(-0.56, 0.72, 0.56, 1, (60, 60, 62))
    for x in (-0.36, 0, 0.36):
        canvas.circle((x, 0.56), 0.08, (225, 250, 255))


def bicycle(canvas: Canvas, rng: np.random.Generator, facing: int = 1) -> None:
    """Draws a bicycle, ``facing`` right (1) or left (-1)."""
    paint = vary(rng, _PAINTS[rng.integers(len(_PAINTS))])
    hubs = (-0.55 * facing, 0.66), (0.55 * facing, 0.66)
    for hub in hubs:
        canvas.arc(hub, 0.3, 0, 2 * np.pi, _TYRE, 0.07)
    pedals, saddle, bars = (-0.1 * facing, 0.66), (-0.25 * facing, 0.2), (0.38 * facing, 0.18)
    for bone in ((hubs[0], saddle, bars, hubs[1]), (hubs[0], pedals, saddle), (pedals, bars)):
        canvas.line(bone, paint, 0.06)
    canvas.line([(saddle[0] - 0.1, 0.17), (saddle[0] + 0.1, 0.17)], _TYRE, 0.08)
    canvas.line([(bars[0] - 0.08 * facing, 0.08), bars], _TYRE, 0.06)


def motorcycle(canvas: Canvas, rng: np.random.Generator, facing: int = 1) -> None:
    """Draws a motorcycle, ``facing`` right (1) or left (-1)."""
    paint = vary(rng, _PAINTS[rng.integers(len(_PAINTS))])
    for x in (-0.6, 0.62):
        canvas.circle((x * facing, 0.68), 0.31, _TYRE)
        canvas.circle((x * facing, 0.68), 0.15, _METAL)
    body = [
        (-0.75, 0.2),
        (-0.1, 0.25),
        (0.1, 0.08),
        (0.42, 0.1),
        (0.5, 0.4),
        (0.2, 0.72),
        (-0.4, 0.72),
    ]
    canvas.polygon([(x * facing, y) for x, y in body], paint)
    canvas.polygon(
        [(x * facing, y) for x, y in ((-0.75, 0.16), (-0.1, 0.22), (-0.12, 0.34), (-0.7, 0.3))],
        _TYRE,
    )
    canvas.line(
        [(0.62 * facing, 0.68), (0.42 * facing, 0.05), (0.28 * facing, -0.02)], _METAL, 0.08
    )
    canvas.circle((0.5 * facing, 0.16), 0.09, (225, 250, 255))


def rider(canvas: Canvas, rng: np.random.Generator, facing: int = 1) -> None:
    """Draws who sits on a :func:`bicycle` or :func:`motorcycle` of the same canvas."""
    shirt, trousers = map(whole, rng.integers(20, 236, (2, 3)))
    hip, shoulder, head = (-0.24, 0.12), (0.0, -0.42), (0.08, -0.72)
    for chain, color, width in (
        ((hip, (0.12, 0.3), (-0.04, 0.72)), trousers, 0.17),
        ((hip, shoulder), shirt, 0.3),
        ((shoulder, (0.14, -0.1), (0.34, 0.08)), shirt, 0.12),
    ):
        canvas.line([(x * facing, y) for x, y in chain], color, width)
    canvas.circle((head[0] * facing, head[1]), 0.17, (120, 165, 215))
    helmet = np.linspace(np.pi, 2 * np.pi, 12)
    points = np.stack([head[0] * facing + 0.2 * np.cos(helmet), head[1] + 0.22 * np.sin(helmet)], 1)
    canvas.polygon(points, vary(rng, _PAINTS[rng.integers(len(_PAINTS))]))


def sign(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws a traffic sign: a warning, a ban or a blue plate."""
    red, white, blue = (35, 30, 200), (240, 240, 240), (190, 90, 20)
    kind = rng.integers(3)
    if kind == 0:
        canvas.polygon([(0, -0.98), (0.98, 0.8), (-0.98, 0.8)], red)
        canvas.polygon([(0, -0.5), (0.55, 0.55), (-0.55, 0.55)], white)
        canvas.line([(0, -0.1), (0, 0.35)], _TYRE, 0.14)
    elif kind == 1:
        canvas.circle((0, 0), 0.97, red)
        canvas.circle((0, 0), 0.68, white)
    else:
        canvas.rectangle(-0.95, -0.95, 0.95, 0.95, blue)
        canvas.polygon([(0, -0.7), (0.6, 0.1), (-0.6, 0.1)], white)
        canvas.rectangle(-0.22, 0.1, 0.22, 0.75, white)


def tree(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws a tree: a trunk and a crown of leaves, light and dark."""
    canvas.polygon(_trapezoid(0.05, 0.1, 0.08, 1), vary(rng, (50, 70, 90), 15))
    leaves = vary(rng, (50, 110, 60), 20)
    for shade in (0.75, 1.0, 1.2):
        for _ in range(9):
            angle, radius = rng.uniform(0, 2 * np.pi), 0.42 * np.sqrt(rng.uniform())
            center = radius * np.cos(angle), -0.32 + radius * np.sin(angle) - 0.1 * (shade - 0.75)
            color = shaded(leaves, shade)
            canvas.circle(center, rng.uniform(0.14, 0.26) / shade, color)


def _trapezoid(half_top: float, top: float, half_bottom: float, bottom: float) -> list[Point]:
    return [(-half_top, top), (half_top, top), (half_bottom, bottom), (-half_bottom, bottom)]


def _wheels(canvas: Canvas, outside: float, width: float) -> None:
    for left in (-outside, outside - width):
        canvas.rectangle(left, 0.6, left + width, 1, _TYRE)


def _lights(canvas: Canvas, x: float, y: float, size: float, front: bool) -> None:
    color: Color = (225, 250, 255) if front else (40, 30, 215)
    for side in (-1, 1):
        if front:
            canvas.circle((side * x, y), size, color)
        else:
            canvas.rectangle(side * x - size, y - size / 2, side * x + size, y + size / 2, color)
