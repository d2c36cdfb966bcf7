"""``--data-root``: the data of a config at another place, in the same layout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from .image_folders import read_image_folders
from .traversal import LOADERS, datasets, leaf_datasets, transforms, type_name

__all__ = ['check_data_files', 'set_data_root']

EVALUATORS = ('val_evaluator', 'test_evaluator')

_GENERATED_DATA = 'use --mini for generated data'
_TRUE_BOXES = (
    'validate on the true boxes: --cfg-options val_dataloader.dataset.bbox_file=None '
    'test_dataloader.dataset.bbox_file=None'
)


@dataclass(frozen=True)
class _NamedFile:
    """A file or folder that a dataset's config names, and what a user can do without it."""

    option: str
    path: Path
    remedy: str = _GENERATED_DATA


def set_data_root(cfg: Config, data_root: str | os.PathLike[str]) -> Config:
    """Points every dataset and evaluator of a config at another folder, in place.

    Whatever lies under the config's present data root (annotations, images, detection results,
    panoptic maps) is looked for under the new one, at the same relative path. CIFAR may be there as
    folders of images, see :func:`~mmst.config.read_image_folders`.

    Args:
        cfg: Config whose datasets share one ``data_root``.
        data_root: An existing folder.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: ``data_root`` is no folder.
        ValueError: The datasets have no data root, or several.
    """
    if not os.path.isdir(data_root):
        raise FileNotFoundError(f'--data-root must be an existing folder, got {str(data_root)!r}')
    old = _data_root(cfg)
    new = os.fspath(data_root).rstrip('/') or '/'
    for name in (*LOADERS, *EVALUATORS):
        if cfg.get(name) is not None:
            cfg[name] = _replaced(cfg[name], old, new)
    if isinstance(cfg.get('data_root'), str):
        cfg.data_root = _replaced(cfg.data_root, old, new)
    return read_image_folders(cfg)


def check_data_files(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that annotation files and image folders of some dataloaders are there.

    Datasets that have no ``data_root``, or whose files are not local, are left to upstream; so are
    image folders where no pipeline loads images (pose lifting works on keypoints alone).

    Args:
        cfg: Config.
        loaders: Names of its dataloaders, e.g. ``('train_dataloader',)``.

    Raises:
        FileNotFoundError: An annotation file or an image folder is missing.
    """
    for loader in loaders:
        loads_images = any(
            'LoadImage' in str(type_name(transform))
            for dataset in datasets(cfg, (loader,))
            for transform in transforms(dataset.get('pipeline'))
        )
        for dataset in leaf_datasets(cfg, (loader,)):
            if not _is_local(dataset):
                continue
            for file in _named_files(dataset, loads_images):
                _check_file(file, f'{file.option} of {loader} ({type_name(dataset)})')


def _data_root(cfg: Config) -> str:
    roots = {
        dataset.data_root.rstrip('/') for dataset in leaf_datasets(cfg) if dataset.get('data_root')
    }
    if not roots:
        raise ValueError(
            '--data-root needs datasets with a data_root, and the config has none; set their paths '
            'with --cfg-options instead'
        )
    if len(roots) > 1:
        raise ValueError(
            f'--data-root needs one data_root in the whole config, got {sorted(roots)}; set them '
            'one by one with --cfg-options instead'
        )
    return roots.pop()


def _replaced(value: Any, old: str, new: str) -> Any:
    """Returns ``value`` with ``old`` replaced where a path begins with it."""
    if isinstance(value, str):
        if value.rstrip('/') == old or value.startswith(f'{old}/'):
            return new + value[len(old) :]
        return value
    if isinstance(value, dict):
        return type(value)({key: _replaced(own, old, new) for key, own in dict.items(value)})
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(own, old, new) for own in value)
    return value


def _is_local(dataset: ConfigDict) -> bool:
    root = dataset.get('data_root')
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    return bool(root) and '://' not in root and backend in ('local', 'disk')


def _named_files(dataset: ConfigDict, loads_images: bool) -> list[_NamedFile]:
    named = [('ann_file', dataset.get('ann_file'))]
    prefix = dataset.get('data_prefix')
    if loads_images and isinstance(prefix, dict):
        # Others (seg, depth, …) may be there without being loaded.
        named += [(f'data_prefix.{key}', prefix[key]) for key in prefix if key.startswith('img')]
    elif loads_images:
        named.append(('data_prefix', prefix))
    if loads_images and type_name(dataset) == 'ImageNet' and not prefix:
        named.append(('split', dataset.get('split')))  # the name of a folder
    root = Path(dataset.data_root)
    files = [
        _NamedFile(name, root / path) for name, path in named if path and isinstance(path, str)
    ]
    detections = dataset.get('bbox_file')
    if detections and '://' not in detections:  # mmpose does not look for it under data_root
        files.append(_NamedFile('bbox_file', Path(detections), _TRUE_BOXES))
    return files


def _check_file(file: _NamedFile, what: str) -> None:
    if not file.path.exists():
        raise FileNotFoundError(
            f'{what} must exist, and there is no {str(file.path)!r}; put the data there, point '
            f'--data-root at a folder of the same layout, or {file.remedy}'
        )
