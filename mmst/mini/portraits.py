"""Pictures of one thing each: for classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import street_shapes
from .background import paint_background
from .emblems import NUM_EMBLEMS, emblem
from .scene import Painter, Scene
from .shapes import SHAPES
from .sprite import Drawing, make_sprite

__all__ = ['IMAGENET_DRAWINGS', 'make_cifar_scene', 'make_imagenet_scene']

IMAGENET_DRAWINGS: dict[str, Drawing] = {
    'n02708093': SHAPES['clock'],  # analog clock
    'n02802426': SHAPES['sports ball'],  # basketball
    'n03792782': street_shapes.bicycle,  # mountain bike
    'n04404412': SHAPES['tv'],  # television
    'n06794110': SHAPES['stop sign'],  # street sign
    'n06874185': SHAPES['traffic light'],  # traffic light
    'n07693725': SHAPES['donut'],  # bagel
    'n07753592': SHAPES['banana'],  # banana
}
"""WordNet id of a class of ImageNet -> what is drawn for it."""

_IMAGENET_SIZES_HW = ((96, 96), (96, 112), (96, 128), (112, 96))
_CIFAR_SIZE_HW = (32, 32)


def make_imagenet_scene(seed: Sequence[int]) -> Scene:
    """Paints a thing of one of 8 classes of ImageNet.

    Args:
        seed: Integers that determine the picture; the classes follow each other with the last one.

    Returns:
        The scene; its object's category is a WordNet id. Equal seeds give equal scenes.
    """
    rng = np.random.default_rng(list(seed))
    category = list(IMAGENET_DRAWINGS)[seed[-1] % len(IMAGENET_DRAWINGS)]
    size_hw = _IMAGENET_SIZES_HW[rng.integers(len(_IMAGENET_SIZES_HW))]
    return _portrait(category, IMAGENET_DRAWINGS[category], size_hw, rng)


def make_cifar_scene(classes: Sequence[str], seed: Sequence[int]) -> Scene:
    """Paints an emblem that stands for a class of CIFAR.

    Args:
        classes: All of them. Of 100, each has a shape and a colour of its own out of 10 times 10;
            of 10, neither is shared.
        seed: As in :func:`make_imagenet_scene`.

    Returns:
        The scene, of 32 by 32 pixels.
    """
    rng = np.random.default_rng(list(seed))
    label = seed[-1] % len(classes)
    tens = label * NUM_EMBLEMS // len(classes)
    draw = emblem(label % NUM_EMBLEMS, tens / NUM_EMBLEMS)
    return _portrait(classes[label], draw, _CIFAR_SIZE_HW, rng)


def _portrait(
    category: str, draw: Drawing, size_hw: tuple[int, int], rng: np.random.Generator
) -> Scene:
    """Paints one thing, large and near the middle."""
    picture, stuff = paint_background(size_hw, rng)
    painter = Painter(picture, rng, stuff)
    sprite = make_sprite(draw, min(size_hw) * rng.uniform(0.6, 0.85), rng, max_rotation_deg=15)
    middle = np.array(size_hw[::-1]) * rng.uniform(0.42, 0.58, 2)
    painter.add(category, sprite, middle)
    return painter.finish()
