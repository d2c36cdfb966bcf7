"""Check that the packages that data need are installed, before a run is built."""

from __future__ import annotations

import importlib.util

from mmengine.config import Config

from mmst.config.traversal import datasets, transforms, type_name

__all__ = ['check_packages']

_PACKAGES = {
    'Albu': 'albumentations',
    'Albumentation': 'albumentations',
    'Albumentations': 'albumentations',
    'CocoPanopticMetric': 'panopticapi',
    'Corrupt': 'imagecorruptions',
    'InstaBoost': 'instaboostfast',
    'LoadPanopticAnnotations': 'panopticapi',
}
"""Packages that no library requires, by the type of the transform or metric that needs them."""

_DISTRIBUTIONS = {'panopticapi': 'panopticapi-lite'}
"""Names of packages for pip, where they differ."""


def check_packages(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that the packages of some dataloaders and of their evaluators are installed.

    Args:
        cfg: Config.
        loaders: Names of its dataloaders, e.g. ``('train_dataloader',)``.

    Raises:
        ImportError: A package is missing.
    """
    nodes = [dataset.get('pipeline') for dataset in datasets(cfg, loaders)]
    nodes += [cfg.get(loader.replace('dataloader', 'evaluator')) for loader in loaders]
    found = {type_name(node) for node in transforms(nodes)}
    for kind in (kind for kind in _PACKAGES if kind in found):
        package = _PACKAGES[kind]
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f'{kind} of this config needs {package}, which is not installed: '
                f'pip install {_DISTRIBUTIONS.get(package, package)}'
            )
