"""Making all images of a config smaller, by the same factor wherever a size stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict

from .walk import LOADERS, datasets, transforms, type_name

__all__ = ['set_image_scale']

# Option of a transform -> sizes in it are multiples of this (fixed shapes that networks see).
_SIZE_OPTIONS = {
    'scale': 1,
    'scales': 1,
    'border': 1,
    'img_scale': 32,
    'crop_size': 32,
    'size': 32,
    'random_size_range': 32,
}


def set_image_scale(cfg: Config, scale: tuple[int, int]) -> Config:
    """Resizes the images of a config to another scale, in place.

    The scale that validation images are resized to becomes ``scale``. All other sizes in the
    pipelines and in the preprocessor's batch transforms (crops, pads, mosaics, multi-scale ranges)
    are multiplied by the same factors, so that every augmentation keeps its meaning.

    Args:
        cfg: Config whose validation pipeline resizes to one (width, height).
        scale: New scale, (width, height) in pixels, the larger first where the old one had so.

    Returns:
        ``cfg``.

    Raises:
        ValueError: There is no such size in the validation pipeline.
    """
    old = _validation_scale(cfg)
    factors = _Factors(max(scale) / max(old), min(scale) / min(old))
    for transform in _transforms(cfg):
        if transform.get('crop_type', 'absolute').startswith('relative'):
            continue
        for option, multiple in _SIZE_OPTIONS.items():
            if option in transform:
                transform[option] = factors.apply(transform[option], multiple)
    return cfg


@dataclass(frozen=True)
class _Factors:
    long: float
    short: float

    def apply(self, size: Any, multiple: int) -> Any:
        """Scales a length, a (width, height), or a nested list of those."""
        if isinstance(size, bool) or not isinstance(size, (int, list, tuple)):
            return size
        if isinstance(size, int):
            return self._length(size, self.long, multiple)
        if len(size) == 2 and all(isinstance(side, int) for side in size):
            long = max(size, key=abs)
            factors = [self.long if side == long else self.short for side in size]
            sides = zip(size, factors, strict=True)
            return type(size)(self._length(side, factor, multiple) for side, factor in sides)
        return type(size)(self.apply(part, multiple) for part in size)

    @staticmethod
    def _length(length: int, factor: float, multiple: int) -> int:
        if length <= 0:  # a border that cuts away (negative), or none
            return round(length * factor)
        return max(1, round(length * factor / multiple)) * multiple


def _validation_scale(cfg: Config) -> tuple[int, int]:
    for dataset in datasets(cfg, ('val_dataloader', 'test_dataloader')):
        for transform in transforms(dataset.get('pipeline')):
            scale = transform.get('scale')
            if isinstance(scale, (list, tuple)) and [type(side) for side in scale] == [int, int]:
                return tuple(scale)
    raise ValueError(
        '--mini needs a validation pipeline that resizes images to one scale=(width, height), and '
        'found none; leave --mini out and set sizes with --cfg-options'
    )


def _transforms(cfg: Config) -> Iterator[ConfigDict]:
    # Pipelines are often one object under several names; each is scaled once.
    nodes = [dataset.get('pipeline') for dataset in datasets(cfg, LOADERS)]
    nodes += [
        hook.get('switch_pipeline')
        for hook in cfg.get('custom_hooks') or ()
        if isinstance(hook, dict) and type_name(hook) == 'PipelineSwitchHook'
    ]
    for owner in (cfg, cfg.get('model') or {}):
        nodes.append((owner.get('data_preprocessor') or {}).get('batch_augments'))
    seen = set()
    for node in nodes:
        for transform in transforms(node):
            if id(transform) not in seen:
                seen.add(id(transform))
                yield transform
