"""Finding what a config says, wherever it is nested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

__all__ = [
    'LOADERS',
    'datasets',
    'leaf_datasets',
    'names_checkpoint',
    'scoped_type_name',
    'transforms',
    'type_name',
]

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def type_name(node: ConfigDict) -> str | None:
    """Class name of a config entry, without the scope: ``'mmdet.CocoDataset'`` is CocoDataset."""
    kind = node.get('type')
    if kind is None:
        return None
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rsplit('.', 1)[-1]


def names_checkpoint(init_cfg: Any) -> bool:
    """Whether an ``init_cfg`` reads a file. mmdet's PVT says so by the key ``checkpoint`` alone."""
    return isinstance(init_cfg, dict) and (
        'checkpoint' in init_cfg or type_name(init_cfg) == 'Pretrained'
    )


def scoped_type_name(node: ConfigDict, default_scope: str) -> str:
    """Class name of a config entry with the library that it is of: ``'mmdet.CocoDataset'``."""
    kind = node.get('type')
    path = f'{kind.__module__}.{kind.__name__}' if isinstance(kind, type) else str(kind)
    scope = path.split('.')[0] if '.' in path else default_scope
    return f'{scope}.{type_name(node)}'


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
