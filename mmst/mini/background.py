"""Backgrounds: colour gradients, textures and harmless clutter."""

from __future__ import annotations

import cv2
import numpy as np

from .scene import SceneObject

__all__ = ['paint_background']

_Painted = tuple[np.ndarray, dict[str, slice]]  # a picture, and the rows of each kind of stuff


def paint_background(
    size_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[SceneObject, ...]]:
    """Paints a background.

    Args:
        size_hw: Height and width in pixels.
        rng: Source of all variation.

    Returns:
        A new (H, W, 3) float32 picture, BGR, in [0, 255]; and the stuff that it shows, in the names
        of COCO panoptic: each of its pixels is of one category.
    """
    paint = (_gradient, _horizon, _tiles, _blotches)[rng.integers(4)]
    picture, rows = paint(size_hw, rng)
    for _ in range(rng.integers(0, 5)):
        _add_clutter(picture, rng)
    stuff = []
    for category, part in rows.items():
        mask = np.zeros(size_hw, bool)
        mask[part] = True
        stuff.append(SceneObject(category, mask))
    return picture, tuple(stuff)


def _color(rng: np.random.Generator) -> np.ndarray:
    # Muted: saturated colours are kept for the objects.
    grey = rng.uniform(60, 210)
    return np.clip(grey + rng.uniform(-30, 30, 3), 0, 255).astype(np.float32)


def _noise(size_hw: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise in [-1, 1] with about ``cells`` bumps along each side, (H, W, 1)."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def _gradient(size_hw: tuple[int, int], rng: np.random.Generator) -> _Painted:
    height, width = size_hw
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None, None]
    blend = np.clip(0.5 + x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)), 0, 1)
    picture = _color(rng) * (1 - blend) + _color(rng) * blend
    return picture, {'wall-other-merged': slice(None)}


def _horizon(size_hw: tuple[int, int], rng: np.random.Generator) -> _Painted:
    height, width = size_hw
    line = int(height * rng.uniform(0.35, 0.7))
    picture = np.empty((height, width, 3), np.float32)
    sky = np.linspace(0, 1, line, dtype=np.float32)[:, None, None]
    top, bottom = np.array(((215, 170, 130), (225, 215, 200)), np.float32)
    picture[:line] = top * (1 - sky) + bottom * sky
    picture[line:] = np.array((85, 120, 105), np.float32) + rng.uniform(-25, 25, 3).astype(
        np.float32
    )
    picture[line:] += 18 * _noise((height - line, width), 24, rng)
    picture += 8 * _noise(size_hw, 5, rng)
    return picture, {'sky-other-merged': slice(line), 'grass-merged': slice(line, None)}


def _tiles(size_hw: tuple[int, int], rng: np.random.Generator) -> _Painted:
    height, width = size_hw
    tile_h, tile_w = (int(v) for v in rng.integers(height // 12, height // 4, 2))
    rows = np.arange(height)[:, None] // tile_h
    columns = (np.arange(width)[None, :] + rows * (tile_w // 2)) // tile_w
    shade = rng.uniform(-12, 12, (64, 64)).astype(np.float32)[rows % 64, columns % 64]
    seam = (np.arange(height)[:, None] % tile_h < 2) | (
        (np.arange(width)[None, :] + rows * (tile_w // 2)) % tile_w < 2
    )
    picture = _color(rng) + (shade - 25 * seam)[..., None] + 8 * _noise(size_hw, 12, rng)
    return picture, {'wall-brick': slice(None)}


def _blotches(size_hw: tuple[int, int], rng: np.random.Generator) -> _Painted:
    picture = np.broadcast_to(_color(rng), (*size_hw, 3)).copy()
    for cells in (3, 7, 20, 60):
        tint = rng.uniform(0.5, 1, 3).astype(np.float32)
        picture += 60 / np.sqrt(cells) * tint * _noise(size_hw, cells, rng)
    return picture, {'wall-stone': slice(None)}


def _add_clutter(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Paints one muted, translucent polygon into ``picture``, in place."""
    height, width = picture.shape[:2]
    center = rng.uniform(0, 1, 2) * (width, height)
    radius = rng.uniform(0.05, 0.25) * min(height, width)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
    points = center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], (0.6,))
    picture += mask[..., None] * (_color(rng) - picture)
