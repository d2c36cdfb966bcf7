"""Image sizes of a config, all scaled by the same factor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict

from .network_sizes import PATCH_MASKS, fits_one_size, set_network_sizes
from .traversal import LOADERS, datasets, transforms, type_name

__all__ = ['set_image_scale']

# Option -> sizes in it are multiples of this (fixed shapes that networks see).
_CODEC_OPTIONS = {'input_size': 32, 'heatmap_size': 1, 'in_featuremap_size': 1, 'out_shape': 1}
_TRANSFORM_OPTIONS = {
    'scale': 1,
    'scales': 1,
    'border': 1,
    'img_scale': 32,
    'crop_size': 32,
    'size': 32,
    'max_size': 1,
    'random_size_range': 32,
    **_CODEC_OPTIONS,
}
_PREPROCESSOR_OPTIONS = {'size': 32}
_SLIDING_WINDOW_OPTIONS = {'crop_size': 32, 'stride': 1}


def set_image_scale(cfg: Config, scale: tuple[int, int]) -> Config:
    """Resizes the images of a config to another scale, in place.

    The scale that validation images are resized to (in pose estimation: the input size; in
    classification: the side of what is cropped, or of the last resize; in pre-training without
    validation: that of the training images) becomes ``scale``. All other sizes are multiplied by
    the same factors, so that every augmentation keeps its meaning and they stay consistent: in
    pipelines and batch transforms crops, pads, mosaics and multi-scale ranges; in the model the
    size to which images are padded, sliding windows, the inputs, heatmaps (with their sigma) and
    feature maps of keypoint codecs and heads, and what :func:`set_network_sizes` scales. A config
    whose model fits one size stays as it is.

    Args:
        cfg: Config whose validation pipeline resizes, warps or crops to one size, or else its
            training pipeline.
        scale: New scale, (width, height) in pixels, the larger first where the old one had so.

    Returns:
        ``cfg``.

    Raises:
        ValueError: There is no such size in these pipelines.
    """
    if fits_one_size(cfg):
        return cfg
    old = _validation_scale(cfg)
    factors = _Factors(max(scale) / max(old), min(scale) / min(old))
    seen = set()
    for node, options in _sized_nodes(cfg):
        # Pipelines are often one object under several names; each is scaled once.
        if id(node) in seen or str(node.get('crop_type')).startswith('relative'):
            continue
        seen.add(id(node))
        if 'heatmap_size' in node and 'sigma' in node:
            node.sigma = factors.apply_to_sigma(node.sigma)
        for option, multiple in options.items():
            if option in node:
                node[option] = factors.apply(node[option], multiple)
    set_network_sizes(cfg, factors.short)
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
        make: Callable[[Iterable[Any]], Any] = type(size)
        if len(size) == 2 and all(isinstance(side, int) for side in size):
            long = max(size, key=abs)
            factors = [self.long if side == long else self.short for side in size]
            sides = zip(size, factors, strict=True)
            return make(self._length(side, factor, multiple) for side, factor in sides)
        return make(self.apply(part, multiple) for part in size)

    def apply_to_sigma(self, sigma: Any) -> Any:
        """Scales the spread of a heatmap's peaks, in pixels of the heatmap."""
        if isinstance(sigma, (list, tuple)):
            return type(sigma)(self.apply_to_sigma(own) for own in sigma)
        return sigma * self.long

    @staticmethod
    def _length(length: int, factor: float, multiple: int) -> int:
        if length <= 0:  # a border that cuts away (negative), or none
            return round(length * factor)
        return max(1, round(length * factor / multiple)) * multiple


def _validation_scale(cfg: Config) -> tuple[int, int]:
    """Returns the first (width, height) images are resized to, or the last side of a square."""
    sides = []
    for dataset in datasets(cfg, ('val_dataloader', 'test_dataloader')):
        for transform in transforms(dataset.get('pipeline')):
            scale = transform.get('scale') or transform.get('input_size')
            if _is_pair(scale):
                return tuple(scale)
            sides += [size for size in (scale, transform.get('crop_size')) if type(size) is int]
    sides = sides or list(_training_sides(cfg))
    if not sides:
        raise ValueError(
            '--mini needs a validation pipeline that resizes images to one scale=(width, height), '
            'or crops squares, or a training pipeline that does the latter, and found none; leave '
            '--mini out and set sizes with --cfg-options'
        )
    return sides[-1], sides[-1]


def _training_sides(cfg: Config) -> Iterator[int]:
    for dataset in datasets(cfg, ('train_dataloader',)):
        for transform in transforms(dataset.get('pipeline')):
            for option in ('scale', 'crop_size', 'size'):
                size = transform.get(option)
                if type(size) is int:
                    yield size
                elif _is_pair(size) and size[0] == size[1]:
                    yield size[0]


def _is_pair(size: Any) -> bool:
    return isinstance(size, (list, tuple)) and [type(side) for side in size] == [int, int]


def _sized_nodes(cfg: Config) -> Iterator[tuple[ConfigDict, Mapping[str, int]]]:
    """Yields the nodes that may hold sizes, with their size options."""
    model = cfg.get('model') or {}
    pipelines = [dataset.get('pipeline') for dataset in datasets(cfg, LOADERS)]
    pipelines += [
        hook.get('switch_pipeline')
        for hook in cfg.get('custom_hooks') or ()
        if isinstance(hook, dict) and type_name(hook) == 'PipelineSwitchHook'
    ]
    for owner in (cfg, model):
        preprocessor = owner.get('data_preprocessor') or {}
        pipelines.append(preprocessor.get('batch_augments'))
        yield preprocessor, _PREPROCESSOR_OPTIONS
    yield model.get('test_cfg') or {}, _SLIDING_WINDOW_OPTIONS
    for node in transforms(pipelines):
        if type_name(node) not in PATCH_MASKS:
            yield node, _TRANSFORM_OPTIONS
    for node in transforms([cfg.get('codec'), model]):
        if any(_is_pair(node.get(option)) for option in _CODEC_OPTIONS):
            yield node, _CODEC_OPTIONS
