"""Writer of scenes in the layout of ImageNet (ILSVRC 2012), as mmpretrain reads it.

root/train/n02708093/n02708093_0.JPEG ...
root/val/n02708093/ILSVRC2012_val_00000001.JPEG ...
root/meta/train.txt, val.txt: a file and its label in each line

Without the lists mmpretrain would number the folders that are there, and refuse other than 1000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2

from .scene import Scene

__all__ = ['IMAGENET_LABELS', 'write_imagenet']

IMAGENET_LABELS = {
    'n02708093': 409,
    'n02802426': 430,
    'n03792782': 671,
    'n04404412': 851,
    'n06794110': 919,
    'n06874185': 920,
    'n07693725': 931,
    'n07753592': 954,
}
"""WordNet id -> label, its index among the 1000 sorted ids of the challenge."""

_JPEG_QUALITY = 92


def write_imagenet(root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures, and lists of them with their labels.

    Args:
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``, of one object each; read once, in order.
    """
    (root / 'meta').mkdir()
    for split, scenes in splits.items():
        lines = []
        for index, scene in enumerate(scenes):
            wnid = scene.objects[0].category
            stem = f'{wnid}_{index}' if split == 'train' else f'ILSVRC2012_val_{index + 1:08d}'
            path = root / split / wnid / f'{stem}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            lines.append(f'{wnid}/{path.name} {IMAGENET_LABELS[wnid]}\n')
        (root / 'meta' / f'{split}.txt').write_text(''.join(lines))
