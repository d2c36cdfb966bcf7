"""CIFAR as folders of images, where the data root holds those and not CIFAR's pickles."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config, ConfigDict

from .traversal import leaf_datasets, scoped_type_name

__all__ = ['read_image_folders']

_PICKLES = {
    'mmpretrain.CIFAR10': 'cifar-10-batches-py',
    'mmpretrain.CIFAR100': 'cifar-100-python',
}
_OWN_OPTIONS = ('split', 'download', 'data_prefix')


def read_image_folders(cfg: Config) -> Config:
    """Makes mmpretrain's CIFAR datasets read image folders, in place, if there are some.

    A dataset whose ``data_root`` has ``train/<class>/`` or ``test/<class>/`` for its split, but not
    the pickles of CIFAR, becomes a ``CustomDataset`` that reads that folder. The name of a class is
    that of its folder; labels are CIFAR's if all folders have CIFAR's names, of which the order is
    the alphabet's. CIFAR's pickles hold RGB, files are loaded as BGR: if the config's data
    preprocessor leaves channels as they are (``to_rgb=False``), it is told to swap them.

    Args:
        cfg: Config.

    Returns:
        ``cfg``.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    found = False
    for dataset in leaf_datasets(cfg):
        pickles = _PICKLES.get(scoped_type_name(dataset, scope))
        if pickles and _has_folders(dataset, pickles):
            _read_folder(dataset)
            found = True
    if found:
        for owner in (cfg, cfg.get('model') or {}):
            if owner.get('data_preprocessor'):
                owner['data_preprocessor']['to_rgb'] = True
    return cfg


def _has_folders(dataset: ConfigDict, pickles: str) -> bool:
    root = Path(dataset.get('data_root') or '')
    return (root / _split(dataset)).is_dir() and not (root / pickles).exists()


def _split(dataset: ConfigDict) -> str:
    return dataset.get('split', 'train')


def _read_folder(dataset: ConfigDict) -> None:
    split = _split(dataset)
    for option in _OWN_OPTIONS:
        dataset.pop(option, None)
    load = {'type': 'mmpretrain.LoadImageFromFile'}
    dataset.update(
        type='mmpretrain.CustomDataset',
        data_prefix=split,
        pipeline=[load, *(dataset.get('pipeline') or ())],
    )
