"""Writer of scenes in the layout of Cityscapes, as mmsegmentation reads it.

root/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png ...
root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png ...
root/leftImg8bit/val/frankfurt/..., root/gtFine/val/frankfurt/...

A label is a class's index in :data:`CITYSCAPES_CLASSES`, or 255: none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from .scene import Scene

__all__ = ['CITYSCAPES_CLASSES', 'write_cityscapes']

CITYSCAPES_CLASSES = (
    *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign'),
    *('vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train'),
    *('motorcycle', 'bicycle'),
)
"""The 19 classes that are evaluated; the index is the official train id."""

_CITIES = {'train': ('aachen', 'bochum', 'bremen'), 'val': ('frankfurt', 'lindau', 'munster')}
_FRAME = 19  # of each sequence of 30 frames, the one that is annotated
_IGNORED = 255


def write_cityscapes(root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures and label maps.

    Args:
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``; read once, in order.
    """
    for split, scenes in splits.items():
        cities = _CITIES[split]
        for index, scene in enumerate(scenes):
            sequence, city = divmod(index, len(cities))
            stem = f'{cities[city]}_{sequence:06d}_{_FRAME:06d}'
            for kind, suffix, image in (
                ('leftImg8bit', 'leftImg8bit', scene.image),
                ('gtFine', 'gtFine_labelTrainIds', _labels(scene)),
            ):
                folder = root / kind / split / cities[city]
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f'{stem}_{suffix}.png'), image)


def _labels(scene: Scene) -> np.ndarray:
    labels = np.full(scene.image.shape[:2], _IGNORED, np.uint8)
    for part in (*scene.stuff, *scene.objects):
        labels[part.mask] = CITYSCAPES_CLASSES.index(part.category)
    return labels
