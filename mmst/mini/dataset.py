"""Generator of mini data sets: once, completely or not at all, always the same."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .cifar import write_cifar
from .cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from .cityscapes import write_cityscapes
from .coco import write_coco
from .coco_keypoints import write_coco_keypoints
from .coco_panoptic import write_coco_panoptic
from .imagenet import write_imagenet
from .objects import make_object_scene
from .people import make_people_scene
from .portraits import make_cifar_scene, make_imagenet_scene
from .scene import Scene
from .street import make_street_scene

__all__ = ['LAYOUTS', 'Layout', 'make_mini_data']

GENERATOR_VERSION = 1  # raise it whenever the same arguments give other files
MARKER = 'mini_data.json'


@dataclasses.dataclass(frozen=True)
class Layout:
    """A way to lay out a data set.

    Attributes:
        make_scene: Paints the scene of a seed: (seed, split, index).
        write: Writes the scenes of each split into an empty folder.
    """

    make_scene: Callable[[tuple[int, int, int]], Scene]
    write: Callable[[Path, Mapping[str, Iterable[Scene]]], None]


def _cifar(classes: Sequence[str]) -> Layout:
    return Layout(
        functools.partial(make_cifar_scene, classes), functools.partial(write_cifar, classes)
    )


LAYOUTS = {
    'coco': Layout(make_object_scene, write_coco),
    'coco_panoptic': Layout(make_object_scene, write_coco_panoptic),
    'coco_keypoints': Layout(make_people_scene, write_coco_keypoints),
    'cityscapes': Layout(make_street_scene, write_cityscapes),
    'imagenet': Layout(make_imagenet_scene, write_imagenet),
    'cifar10': _cifar(CIFAR10_CLASSES),
    'cifar100': _cifar(CIFAR100_CLASSES),
}
"""Layout name -> what is painted, and how it is written."""


def make_mini_data(
    layout: str,
    root: str | Path,
    *,
    num_train: int = 240,
    num_val: int = 40,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Makes a mini data set, unless exactly this one is there already.

    The files are written beside ``root`` and moved there when all are complete: an
    interruption leaves what was there before, several processes may ask for the
    same data at once. Image ``i`` of a split depends on ``seed`` and ``i`` alone,
    so a larger set contains the smaller one.

    Args:
        layout: A key of :data:`LAYOUTS`.
        root: Folder of the data set. A mini data set that is there, but is damaged
            or was made with other arguments, is replaced.
        num_train: Number of training images.
        num_val: Number of validation images.
        seed: Seed of all pictures. The same arguments (and the same versions of
            OpenCV and NumPy) give the same bytes.
        force: Make it even if it is there.

    Returns:
        ``root``, as a path.

    Raises:
        ValueError: Unknown layout, or a number out of its range.
        FileExistsError: ``root`` holds something that is not mini data.
    """
    root = Path(root)
    recipe = _recipe(layout, num_train, num_val, seed)
    if not force and _is_complete(root, recipe):
        return root
    _refuse_foreign_files(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.with_name(f'.{root.name}.partial-{os.getpid()}')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        make_scene, counts = LAYOUTS[layout].make_scene, {'train': num_train, 'val': num_val}
        LAYOUTS[layout].write(partial, _splits(make_scene, seed, counts))
        marker = {**recipe, 'num_files': _count_files(partial)}
        (partial / MARKER).write_text(json.dumps(marker, indent=2))
        if force or not _is_complete(root, recipe):  # another process may have made it by now
            _install(partial, root, recipe)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _recipe(layout: str, num_train: int, num_val: int, seed: int) -> dict[str, Any]:
    """Checks the arguments and returns what determines the data."""
    if layout not in LAYOUTS:
        raise ValueError(f'layout must be one of {sorted(LAYOUTS)}, got {layout!r}')
    for name, number in (('num_train', num_train), ('num_val', num_val)):
        if number < 1:
            raise ValueError(f'{name} must be at least 1, got {number}')
    if seed < 0:
        raise ValueError(f'seed must not be negative, got {seed}')
    return {
        'generator_version': GENERATOR_VERSION,
        'layout': layout,
        'num_train': num_train,
        'num_val': num_val,
        'seed': seed,
    }


def _splits(
    make_scene: Callable[[tuple[int, int, int]], Scene], seed: int, counts: Mapping[str, int]
) -> dict[str, Iterator[Scene]]:
    def scenes(split: int, count: int) -> Iterator[Scene]:
        return (make_scene((seed, split, index)) for index in range(count))

    return {name: scenes(split, count) for split, (name, count) in enumerate(counts.items())}


def _is_complete(root: Path, recipe: Mapping[str, Any]) -> bool:
    """Returns whether ``root`` holds a whole mini data set of this recipe."""
    try:
        marker = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        return False
    return marker == {**recipe, 'num_files': _count_files(root) - 1}


def _count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _refuse_foreign_files(root: Path) -> None:
    if root.exists() and not (root / MARKER).exists() and (root.is_file() or any(root.iterdir())):
        raise FileExistsError(
            f'{root} holds files that are not mini data and will not be '
            'replaced; choose another root, or move them away'
        )


def _install(partial: Path, root: Path, recipe: Mapping[str, Any]) -> None:
    """Moves the finished ``partial`` to ``root``, in place of older mini data.

    If that fails, the older data stay where they were.
    """
    old = root.with_name(f'.{root.name}.old-{os.getpid()}')
    try:
        if root.exists():
            root.rename(old)
        partial.rename(root)
    except OSError:
        # Another process may just have written the same data.
        if not _is_complete(root, recipe):
            raise
    finally:
        if old.exists() and not root.exists():
            old.rename(root)
        shutil.rmtree(old, ignore_errors=True)
