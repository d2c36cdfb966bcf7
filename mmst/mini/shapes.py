"""The objects that can be drawn: one function for each category.

A function draws one object upright onto a :class:`~mmst.mini.canvas.Canvas`, as
large as the canvas allows, and varies colours and details with the generator it
is given. Position, size, rotation and light are the scene's business.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Color, shaded

__all__ = ['SHAPES', 'vary']


def vary(rng: np.random.Generator, color: Color, amount: int = 25) -> Color:
    """Returns a colour near the given one."""
    shifted = np.asarray(color) + rng.integers(-amount, amount + 1, 3)
    blue, green, red = (int(v) for v in np.clip(shifted, 0, 255))
    return blue, green, red


def _stop_sign(canvas: Canvas, rng: np.random.Generator) -> None:
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    octagon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    canvas.polygon(octagon, (245, 245, 245))
    canvas.polygon(octagon * 0.9, vary(rng, (35, 25, 195)))
    canvas.text('STOP', (245, 245, 245), width=1.45)


def _sports_ball(canvas: Canvas, rng: np.random.Generator) -> None:
    seam = vary(rng, (30, 35, 50), 15)
    canvas.circle((0, 0), 0.97, vary(rng, (30, 115, 235)))
    canvas.line([(-0.94, 0), (0.94, 0)], seam, 0.06)
    canvas.line([(0, -0.94), (0, 0.94)], seam, 0.06)
    canvas.arc((-1.25, 0), 0.9, -0.78, 0.78, seam, 0.06)
    canvas.arc((1.25, 0), 0.9, np.pi - 0.78, np.pi + 0.78, seam, 0.06)


def _kite(canvas: Canvas, rng: np.random.Generator) -> None:
    top, right, bottom, left, middle = (
        (0, -0.98),
        (0.74, -0.25),
        (0, 0.98),
        (-0.74, -0.25),
        (0, -0.25),
    )
    canvas.polygon([top, right, middle], vary(rng, (205, 60, 150)))
    canvas.polygon([right, bottom, middle], vary(rng, (70, 190, 70)))
    canvas.polygon([bottom, left, middle], vary(rng, (205, 60, 150)))
    canvas.polygon([left, top, middle], vary(rng, (70, 190, 70)))
    canvas.line([top, bottom], (235, 235, 235), 0.04)
    canvas.line([left, right], (235, 235, 235), 0.04)


def _clock(canvas: Canvas, rng: np.random.Generator) -> None:
    ink = vary(rng, (35, 30, 30), 20)
    canvas.circle((0, 0), 0.97, vary(rng, (60, 60, 60), 50))
    canvas.circle((0, 0), 0.82, vary(rng, (235, 240, 240), 12))
    for hour in range(12):
        x, y = np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)
        canvas.line([(0.65 * x, 0.65 * y), (0.76 * x, 0.76 * y)], ink, 0.07)
    for length, width in ((0.4, 0.11), (0.6, 0.07)):
        angle = rng.uniform(0, 2 * np.pi)
        canvas.line([(0, 0), (length * np.cos(angle), length * np.sin(angle))], ink, width)


def _tv(canvas: Canvas, rng: np.random.Generator) -> None:
    case = vary(rng, (40, 38, 36), 20)
    canvas.rectangle(-0.14, 0.4, 0.14, 0.68, case)
    canvas.rectangle(-0.45, 0.6, 0.45, 0.7, case)
    canvas.rectangle(-0.98, -0.7, 0.98, 0.5, case)
    sky, hill = vary(rng, (230, 170, 60), 30), vary(rng, (60, 140, 60), 30)
    canvas.rectangle(-0.88, -0.61, 0.88, 0.41, sky)
    ridge = rng.uniform(-0.2, 0.35, 3)
    canvas.polygon(
        [(-0.88, ridge[0]), (0, ridge[1]), (0.88, ridge[2]), (0.88, 0.41), (-0.88, 0.41)], hill
    )


def _banana(canvas: Canvas, rng: np.random.Generator) -> None:
    outer, inner = np.linspace(0.15, np.pi - 0.15, 32), np.linspace(np.pi - 0.25, 0.25, 32)
    lower = [(0.97 * np.cos(a), -0.45 + 1.05 * np.sin(a)) for a in outer]
    upper = [(0.88 * np.cos(a), -0.45 + 0.5 * np.sin(a)) for a in inner]
    skin = vary(rng, (50, 215, 245), 20)
    canvas.polygon(lower + upper, skin)
    middle = [(0.9 * np.cos(a), -0.45 + 0.8 * np.sin(a)) for a in outer[4:-4]]
    canvas.line(middle, vary(rng, (40, 165, 205), 15), 0.06)
    for tip in (lower[:3] + upper[-2:], lower[-3:] + upper[:2]):
        canvas.polygon(tip, (35, 60, 80))


def _donut(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.circle((0, 0), 0.97, vary(rng, (95, 160, 210), 20))
    canvas.circle((0, 0), 0.85, vary(rng, (180, 105, 245), 25))
    for _ in range(26):
        angle, radius, turn = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.45, 0.75),
            rng.uniform(0, np.pi),
        )
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        dx, dy = 0.06 * np.cos(turn), 0.06 * np.sin(turn)
        canvas.line([(x - dx, y - dy), (x + dx, y + dy)], vary(rng, (190, 190, 190), 65), 0.05)
    canvas.circle((0, 0), 0.34, vary(rng, (95, 160, 210), 20))
    canvas.cut_circle((0, 0), 0.26)


def _traffic_light(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.rectangle(-0.4, -0.98, 0.4, 0.98, vary(rng, (45, 50, 45), 15))
    lit = rng.integers(3)
    lamps = ((40, 40, 250), (30, 200, 255), (90, 240, 60))
    for i, (y, color) in enumerate(zip((-0.63, 0, 0.63), lamps, strict=True)):
        shade = 1.0 if i == lit else 0.35
        canvas.circle((0, y), 0.27, shaded(color, shade))


SHAPES: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    'traffic light': _traffic_light,
    'stop sign': _stop_sign,
    'sports ball': _sports_ball,
    'kite': _kite,
    'banana': _banana,
    'donut': _donut,
    'tv': _tv,
    'clock': _clock,
}
"""Category name (COCO's) -> function that draws one such object."""
