"""Emblems: ten plain shapes in any colour, of which a hundred classes can be told apart."""

from __future__ import annotations

import colorsys

import numpy as np

from .canvas import Canvas, Color
from .shapes import vary
from .sprite import Drawing

__all__ = ['NUM_EMBLEMS', 'emblem']

NUM_EMBLEMS = 10


def emblem(shape: int, hue: float) -> Drawing:
    """Returns the drawing of an emblem.

    Args:
        shape: Which of the :data:`NUM_EMBLEMS` shapes.
        hue: Its colour, in [0, 1).
    """

    def draw(canvas: Canvas, rng: np.random.Generator) -> None:
        red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(hue, 0.9, 0.95))
        _SHAPES[shape](canvas, vary(rng, (blue, green, red), 12))

    return draw


def _disc(canvas: Canvas, color: Color) -> None:
    canvas.circle((0, 0), 0.95, color)


def _square(canvas: Canvas, color: Color) -> None:
    canvas.rectangle(-0.8, -0.8, 0.8, 0.8, color)


def _triangle(canvas: Canvas, color: Color) -> None:
    canvas.polygon([(0, -0.95), (0.95, 0.8), (-0.95, 0.8)], color)


def _cross(canvas: Canvas, color: Color) -> None:
    canvas.rectangle(-0.3, -0.95, 0.3, 0.95, color)
    canvas.rectangle(-0.95, -0.3, 0.95, 0.3, color)


def _ring(canvas: Canvas, color: Color) -> None:
    canvas.circle((0, 0), 0.95, color)
    canvas.cut_circle((0, 0), 0.5)


def _star(canvas: Canvas, color: Color) -> None:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 0.4, 1.0)
    canvas.polygon(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1), color)


def _bars(canvas: Canvas, color: Color) -> None:
    for top in (-0.9, -0.22, 0.46):
        canvas.rectangle(-0.9, top, 0.9, top + 0.42, color)


def _columns(canvas: Canvas, color: Color) -> None:
    for left in (-0.9, -0.22, 0.46):
        canvas.rectangle(left, -0.9, left + 0.42, 0.9, color)


def _arch(canvas: Canvas, color: Color) -> None:
    canvas.circle((0, 0), 0.95, color)
    canvas.rectangle(-0.95, 0, 0.95, 0.95, color)
    canvas.cut_circle((0, 0.6), 0.45)


def _chevron(canvas: Canvas, color: Color) -> None:
    for top in (-0.85, 0.05):
        outer, inner = [(-0.95, top + 0.5), (0, top), (0.95, top + 0.5)], top + 0.4
        canvas.polygon([*outer, (0.95, inner + 0.5), (0, inner), (-0.95, inner + 0.5)], color)


_SHAPES = (
    *(_disc, _square, _triangle, _cross, _ring),
    *(_star, _bars, _columns, _arch, _chevron),
)
