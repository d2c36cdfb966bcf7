"""Generated data in place of data sets that have no generator.

The mini data of a task are in the layout of one data set: COCO, Cityscapes, ImageNet. A config of
another data set of that task reads them instead. Its model stays as it is: where it has fewer
classes than the generated data, it learns the first of these; where it has more, the others do not
occur.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .traversal import LOADERS, leaf_datasets, scope_of, transforms, type_name, unbuilt_type

__all__ = ['stand_in_layout', 'use_stand_ins']

_KEPT = ('_scope_', 'pipeline', 'test_mode', 'filter_cfg', 'return_classes', 'lazy_init')
"""Settings of a dataset that do not depend on its files."""


@dataclass(frozen=True)
class _StandIn:
    """The generated data for the other data sets of a task.

    Attributes:
        layout: Their layout.
        kind: Type of dataset that reads them.
        parents: Classes of datasets whose subclasses it can stand for.
        files: Its settings for a split: where the files are under the data root.
        data_root: The usual one.
        but_not: Those among them whose ground truth is another.
        metric: Metric that replaces those of the other data sets. Defaults to keeping them.
    """

    layout: str
    kind: str
    parents: tuple[str, ...]
    files: Callable[[str], dict[str, Any]]
    data_root: str
    but_not: tuple[str, ...] = ()
    metric: str | None = None


_STAND_INS = (
    _StandIn(
        'coco',
        'mmdet.CocoDataset',
        (
            *('mmdet.CocoDataset', 'mmdet.XMLDataset', 'mmdet.CrowdHumanDataset'),
            *('mmdet.DSDLDetDataset', 'mmdet.OpenImagesDataset'),
        ),
        lambda split: dict(
            ann_file=f'annotations/instances_{split}2017.json',
            data_prefix=dict(img=f'{split}2017/'),
        ),
        data_root='data/coco/',
        metric='mmdet.CocoMetric',
    ),
    _StandIn(
        'cityscapes',
        'mmseg.CityscapesDataset',
        ('mmseg.BaseSegDataset',),
        lambda split: dict(
            data_prefix=dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}')
        ),
        data_root='data/cityscapes/',
        but_not=('NYUDataset',),  # depth
    ),
    _StandIn(
        'imagenet',
        'mmpretrain.ImageNet',
        ('mmpretrain.ImageNet21k',),
        lambda split: dict(split=split),
        data_root='data/imagenet/',
    ),
)


def stand_in_layout(dataset: ConfigDict, scope: str) -> str | None:
    """Layout of the generated data that can stand for a dataset, None if none can."""
    found = _stand_in(dataset, scope)
    return None if found is None else found.layout


def use_stand_ins(cfg: Config, scope: str, has_generator: Callable[[ConfigDict], bool]) -> Config:
    """Makes the datasets that have no generator read generated data, in place.

    Args:
        cfg: Config all of whose datasets have a generator or a stand-in.
        scope: Default scope of its types.
        has_generator: Whether a dataset has one.

    Returns:
        ``cfg``.
    """
    roots = [node.get('data_root') for node in leaf_datasets(cfg) if has_generator(node)]
    used = {}
    for loader in LOADERS:
        split = 'train' if loader == 'train_dataloader' else 'val'
        for dataset in leaf_datasets(cfg, (loader,)):
            stand_in = None if has_generator(dataset) else _stand_in(dataset, scope)
            if stand_in is not None:
                used[str(type_name(dataset))] = stand_in
                _replace(cfg, dataset, stand_in, split, roots[0] if roots else None)
    for stand_in in used.values():
        if stand_in.metric is not None:
            _replace_metrics(cfg, stand_in, roots[0] if roots else None)
    if used:
        names = {stand_in.layout for stand_in in used.values()}
        print_log(
            f'mini: generated data like {", ".join(names)} stand for those of {", ".join(used)}',
            logger='current',
        )
    return cfg


def _stand_in(dataset: ConfigDict, scope: str) -> _StandIn | None:
    cls = _class_of(unbuilt_type(dataset), scope)
    if cls is None:
        return None
    for stand_in in _STAND_INS:
        if cls.__name__ in stand_in.but_not:
            return None
        parents = (_class_of(name, scope) for name in stand_in.parents if _is_near(name, cls))
        if any(parent is not None and issubclass(cls, parent) for parent in parents):
            return stand_in
    return None


def _is_near(name: str, cls: type) -> bool:
    """Tells whether a class or a parent of it is of the library that a dotted name begins with."""
    return any(parent.__module__.split('.')[0] == name.split('.')[0] for parent in cls.__mro__)


def _class_of(kind: Any, scope: str) -> type | None:
    if inspect.isclass(kind):
        return kind
    name = str(kind).rpartition('.')[2]
    with DATASETS.switch_scope_and_registry(scope_of(kind, scope)) as registry:
        found = registry.get(name)
    return found if inspect.isclass(found) else None


def _replace(
    cfg: Config, dataset: ConfigDict, stand_in: _StandIn, split: str, data_root: str | None
) -> None:
    kept = {name: dict.__getitem__(dataset, name) for name in _KEPT if name in dataset}
    dataset.clear()
    dataset.update(type=stand_in.kind, data_root=data_root or stand_in.data_root)
    dataset.update(**stand_in.files(split), **kept)
    reader: Any = _class_of(stand_in.kind, '')
    classes = reader.METAINFO['classes']
    number = min(_class_numbers(cfg.get('model')), default=len(classes))
    if number < len(classes):
        dataset.metainfo = dict(classes=tuple(classes[:number]))
    for transform in transforms(dataset.get('pipeline')):
        if type_name(transform) == 'LoadAnnotations':  # labels of ADE20K begin at 1
            transform.pop('reduce_zero_label', None)


def _replace_metrics(cfg: Config, stand_in: _StandIn, data_root: str | None) -> None:
    pipelines = [node.get('pipeline') for node in leaf_datasets(cfg, LOADERS[:1])]
    has_masks = any(node.get('with_mask') for node in transforms(pipelines))
    file = Path(data_root or stand_in.data_root) / stand_in.files('val')['ann_file']
    metric = dict(
        type=stand_in.metric, ann_file=str(file), metric=['bbox', 'segm'] if has_masks else 'bbox'
    )
    for name in ('val_evaluator', 'test_evaluator'):
        if cfg.get(name):
            cfg[name] = copy.deepcopy(metric)
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if checkpoint.get('save_best'):
        checkpoint['save_best'] = 'auto'


def _class_numbers(node: Any) -> Iterator[int]:
    """Numbers of classes that heads tell apart; those of proposals are told apart from none."""
    if isinstance(node, dict):
        if isinstance(node.get('num_classes'), int):
            yield node['num_classes']
        for name, value in dict.items(node):
            if name != 'rpn_head' and isinstance(value, (dict, list, tuple)):
                yield from _class_numbers(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _class_numbers(value)
