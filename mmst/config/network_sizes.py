"""Sizes that a self-supervised network is built for: its arguments, given or by default."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from mmengine.config import Config, ConfigDict
from torch import nn

from mmst.engine.run_checks import learns_from_images

from .classes import class_of
from .traversal import datasets, transforms, type_name

__all__ = ['PATCH_MASKS', 'fits_one_size', 'set_network_sizes']

PATCH_MASKS = ('BEiTMaskGenerator',)
"""Transforms whose sizes count patches of the network instead of pixels."""

ONE_SIZE = ('HOGGenerator',)
"""Parts that are written for images of 224 pixels."""

_SIDES = ('img_size', 'input_size')
_WINDOWS = ('window_size',)
_COUNTS = ('num_patches',)
_MASK_COUNTS = ('num_masking_patches', 'min_num_patches', 'max_num_patches')


def fits_one_size(cfg: Config) -> bool:
    """Tells whether a part of the model takes images of the size in the config only."""
    return any(type_name(node) in ONE_SIZE for node in transforms(cfg.get('model')))


def set_network_sizes(cfg: Config, factor: float) -> Config:
    """Scales the side of the images that a self-supervised network is built for, in place.

    Its position embeddings, decoder and masks are made for one size. The model and its parts get
    it as arguments, whose defaults count too, in pixels or as the number of patches.

    Args:
        cfg: Config. One whose model does not learn from the images themselves stays as it is.
        factor: What the sides are multiplied by. Those in pixels become multiples of 32.

    Returns:
        ``cfg``.
    """
    model = cfg.get('model') or {}
    if not model or not learns_from_images(class_of(cfg, model)):
        return cfg

    def side(size: Any, multiple: int) -> Any:
        if isinstance(size, (list, tuple)):
            return type(size)(side(part, multiple) for part in size)
        return max(1, round(size * factor / multiple)) * multiple

    def count(number: int) -> int:
        return side(math.isqrt(number), 1) ** 2

    for node in transforms(model):
        cls = class_of(cfg, node)
        _change(node, cls, _SIDES, lambda size: side(size, 32))
        _change(node, cls, _WINDOWS, lambda cells: side(cells, 1))
        _change(node, cls, _COUNTS, count)
    for dataset in datasets(cfg, ('train_dataloader',)):
        for node in transforms(dataset.get('pipeline')):
            if type_name(node) in PATCH_MASKS:
                node.input_size = side(node.input_size, 1)
                _change(node, object, _MASK_COUNTS, lambda n: max(1, round(n * factor**2)))
    return cfg


def _change(
    node: ConfigDict, cls: type, names: tuple[str, ...], change: Callable[[Any], Any]
) -> None:
    """Changes arguments of a part, also those that it leaves to the defaults of its class."""
    parameters = inspect.signature(cls).parameters if issubclass(cls, nn.Module) else {}
    for name in names:
        default = parameters[name].default if name in parameters else None
        value = node.get(name, default)
        if value not in (None, inspect.Parameter.empty):
            node[name] = change(value)
