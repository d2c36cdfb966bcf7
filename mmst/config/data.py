"""``--data-root``: the data of a config at another place, in the same layout."""

from __future__ import annotations

import os
from typing import Any

from mmengine.config import Config

from .image_folders import read_image_folders
from .traversal import LOADERS, leaf_datasets

__all__ = ['set_data_root']

EVALUATORS = ('val_evaluator', 'test_evaluator')


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
