"""Writer of CIFAR scenes as folders of images.

root/train/airplane/00000.png ...
root/test/airplane/00000.png ...

CIFAR itself is a few pickles, which mmpretrain compares to the checksums of the real ones: others
cannot take their place. :func:`mmst.config.read_image_folders` makes a config read these folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2

from .scene import Scene

__all__ = ['write_cifar']

_FOLDERS = {'train': 'train', 'val': 'test'}


def write_cifar(classes: Sequence[str], root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures, each into the folder of its class.

    Args:
        classes: Names of all classes. Each has a folder in each split, if an empty one: labels are
            indices of folders.
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``, of one object each; read once, in order.
    """
    for split, scenes in splits.items():
        folder = root / _FOLDERS[split]
        for name in classes:
            (folder / name).mkdir(parents=True)
        for index, scene in enumerate(scenes):
            path = folder / scene.objects[0].category / f'{index:05d}.png'
            cv2.imwrite(str(path), scene.image)
