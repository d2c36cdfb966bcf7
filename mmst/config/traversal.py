"""Search in a config, at any depth of nesting.

A type is a name, or in mmengine's new-style configs (``with read_base():``) a class or a function.
mmengine keeps those unimported inside the config, so that it can write them to a file, and imports
them on access. Whoever makes a new dict of an old one must not access them: ``dict.items``,
``ConfigDict(old)`` and changes in place do not, ``dict(old)`` and ``old.items()`` do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject

__all__ = [
    'LOADERS',
    'datasets',
    'leaf_datasets',
    'scope_of',
    'scoped_type_name',
    'short_name',
    'transforms',
    'type_name',
    'type_path',
    'unbuilt_type',
]

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def type_name(node: ConfigDict) -> str | None:
    """Class name of a config entry, without the scope: ``'mmdet.CocoDataset'`` is CocoDataset."""
    kind = unbuilt_type(node)
    return None if kind is None else short_name(kind)


def short_name(kind: Any) -> str:
    """Name of a type: ``'ResNet'`` for the class, ``'mmdet.ResNet'``, its path, or ``'ResNet'``."""
    return type_path(kind).rsplit('.', 1)[-1]


def scoped_type_name(node: ConfigDict, default_scope: str) -> str:
    """Class name of a config entry with its library: ``'mmdet.CocoDataset'``."""
    return f'{scope_of(unbuilt_type(node), default_scope)}.{type_name(node)}'


def type_path(kind: Any) -> str:
    """Form of a type in a config file: a name unchanged, a class as its path."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, (LazyObject, LazyAttr)):
        return f'{kind.module}.{kind}'
    return f'{kind.__module__}.{kind.__qualname__}' if hasattr(kind, '__qualname__') else str(kind)


def scope_of(kind: Any, default_scope: str) -> str:
    """Library of a type: ``'mmdet'`` for its class CocoDataset."""
    path = type_path(kind)
    return path.split('.')[0] if '.' in path else default_scope


def unbuilt_type(node: dict[str, Any]) -> Any:
    """Returns a config entry's type without importing it."""
    return dict.get(node, 'type')


def datasets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[ConfigDict]:
    """Yields every dataset of the dataloaders: wrappers (repeat, concatenate) and their parts."""
    for name in loaders:
        loader = cfg.get(name)
        if loader:
            yield from _nested(loader.get('dataset'))


def leaf_datasets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[ConfigDict]:
    """Yields the datasets that read files."""
    for dataset in datasets(cfg, loaders):
        if not isinstance(dataset.get('dataset') or dataset.get('datasets'), (dict, list)):
            yield dataset


def transforms(pipeline: Any) -> Iterator[ConfigDict]:
    """Yields every transform of a pipeline, also those inside other transforms."""
    if isinstance(pipeline, dict):
        if 'type' in pipeline:
            yield pipeline
        for value in pipeline.values():
            yield from transforms(value)
    elif isinstance(pipeline, (list, tuple)):
        for value in pipeline:
            yield from transforms(value)


def _nested(dataset: Any) -> Iterator[ConfigDict]:
    if isinstance(dataset, dict):
        yield dataset
        for name in ('dataset', 'datasets'):
            yield from _nested(dataset.get(name))
    elif isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from _nested(part)
