"""Differences between the training and test scripts of the four libraries.

Their configs rely on it: mmpretrain's datasets need a collate function that its script adds, and
old configs of mmpose keep the preprocessor at the top level. Which library a config is for is told
by its ``default_scope``, in a new-style config, which has none, by the class of its model or of its
datasets; a config of plain mmengine gets none of this.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.config import Config, ConfigDict

from .traversal import (
    LOADERS,
    datasets,
    leaf_datasets,
    scope_of,
    transforms,
    type_name,
    unbuilt_type,
)

__all__ = ['LIBRARIES', 'Library', 'apply_library_defaults', 'library_of']


@dataclass(frozen=True)
class Library:
    """One task library.

    Attributes:
        scope: Its ``default_scope``, which is also the name of its Python package.
        extra: The extra that installs it.
        draw_option: Option of its visualization hook that switches it on.
        show_dir_option: Option with the folder for drawn images, of that hook or (``save_dir``) of
            the visualizer.
        dump_metric: Metric that dumps predictions to a file.
    """

    scope: str
    extra: str
    draw_option: str = 'draw'
    show_dir_option: str = 'out_dir'
    dump_metric: str = 'DumpResults'


LIBRARIES = {
    library.scope: library
    for library in (
        Library('mmdet', 'det', show_dir_option='test_out_dir', dump_metric='mmdet.DumpDetResults'),
        Library('mmseg', 'seg', show_dir_option='save_dir'),
        Library('mmpose', 'pose', draw_option='enable'),
        Library('mmpretrain', 'cls', draw_option='enable'),
    )
}

PLAIN = Library('mmengine', extra='')

_PANOPTIC_TYPES = {'LoadPanopticAnnotations', 'CocoPanopticMetric'}


def library_of(cfg: Config) -> Library:
    """Returns the task library that a config is for.

    Raises:
        ImportError: It is not installed.
        ValueError: ``default_scope`` names something that mmst does not know.
    """
    scope = cfg.get('default_scope') or _scope_of_types(cfg)
    if scope == PLAIN.scope:
        return PLAIN
    if scope not in LIBRARIES:
        raise ValueError(
            f'default_scope must be one of {[*LIBRARIES, PLAIN.scope]}, got {scope!r}; leave it '
            'out for a config that needs no task library'
        )
    library = LIBRARIES[scope]
    if importlib.util.find_spec(scope) is None:
        raise ImportError(
            f"this config needs {scope}, which is not installed; in mmst's folder: "
            f'pip install -e ".[{library.extra}]" (mmcv and mmpose: see docs/install.md)'
        )
    return library


def _scope_of_types(cfg: Config) -> str:
    for node in (cfg.get('model') or {}, *leaf_datasets(cfg)):
        scope = scope_of(unbuilt_type(node) or '', PLAIN.scope)
        if scope in LIBRARIES:
            return scope
        # A user's own class is for the library that it derives from.
        for parent in inspect.getmro(node.type) if inspect.isclass(node.get('type')) else ():
            if scope_of(parent, PLAIN.scope) in LIBRARIES:
                return scope_of(parent, PLAIN.scope)
    return PLAIN.scope


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
        ImportError: The config's library is not installed, or what panoptic data need.
        ValueError: ``default_scope`` names something that mmst does not know.
    """
    library = library_of(cfg)
    _check_panopticapi(cfg)
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


def _check_panopticapi(cfg: Config) -> None:
    """Refuses panoptic data if panopticapi is missing, which mmdet does not require."""
    nodes = [dataset.get('pipeline') for dataset in datasets(cfg)]
    nodes += [cfg.get('val_evaluator'), cfg.get('test_evaluator')]
    needing = sorted(_PANOPTIC_TYPES & {type_name(node) for node in transforms(nodes)})
    if needing and importlib.util.find_spec('panopticapi') is None:
        raise ImportError(
            f'{" and ".join(needing)} of this config need panopticapi, which is not installed: '
            'pip install panopticapi-lite'
        )


def _set_loader_defaults(cfg: Config) -> None:
    for loader in _loaders(cfg):
        loader.setdefault('pin_memory', True)
        loader.setdefault('persistent_workers', True)
        loader.setdefault('collate_fn', dict(type='default_collate'))


def _loaders(cfg: Config) -> Iterator[ConfigDict]:
    return (cfg[name] for name in LOADERS if cfg.get(name))
