"""Differences between the training and test scripts of the four libraries.

Their configs rely on it: mmpretrain's datasets need a collate function that its script adds, and
old configs of mmpose keep the preprocessor at the top level. A config of plain mmengine gets none
of this.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict

from .library import library_of
from .traversal import LOADERS

__all__ = ['apply_library_defaults']


def apply_library_defaults(
    cfg: Config, *, pin_memory: bool = True, persistent_workers: bool = True
) -> Config:
    """Adds to a config, in place, what its library's own scripts add.

    Args:
        cfg: Config.
        pin_memory: Whether dataloaders may pin their memory; mmpretrain's do.
        persistent_workers: Whether dataloaders may keep their workers; mmpretrain's do.

    Returns:
        ``cfg``.

    Raises:
        ImportError: The config's library is not installed.
        ValueError: ``default_scope`` names something that mmst does not know.
    """
    library = library_of(cfg)
    if library.scope == 'mmpretrain':
        _set_loader_defaults(cfg)
    if library.scope == 'mmpose' and cfg.get('preprocess_cfg'):
        cfg.model.setdefault('data_preprocessor', cfg.preprocess_cfg)
    for loader in _loaders(cfg):
        # mmengine writes the scope of a base config there, and hands it on as an argument.
        if isinstance(loader.get('collate_fn'), dict):
            loader.collate_fn.pop('_scope_', None)
        if not pin_memory:
            loader.pin_memory = False
        # Torch refuses to keep workers where there are none (num_workers=0).
        if not persistent_workers or not loader.get('num_workers', 0):
            loader.persistent_workers = False
    return cfg


def _set_loader_defaults(cfg: Config) -> None:
    for loader in _loaders(cfg):
        loader.setdefault('pin_memory', True)
        loader.setdefault('persistent_workers', True)
        loader.setdefault('collate_fn', dict(type='default_collate'))


def _loaders(cfg: Config) -> Iterator[ConfigDict]:
    return (cfg[name] for name in LOADERS if cfg.get(name))
