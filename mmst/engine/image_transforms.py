"""Transforms of a subnet's images by torchvision, beyond their size (ST++ Table I)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['ImageTransforms']

WHITE = 255.0
"""Value of white in the images that OpenMMLab's preprocessors normalise."""


class ImageTransforms:
    """Transforms of ``torchvision.transforms.v2``, applied to each image by itself.

    The preprocessor's normalisation is undone for them, so that they see what they are made for:
    images in [0, 1]. Colours are in the order that the network gets, RGB with ``to_rgb=True``.

    Args:
        configs: One or more configs of a class of ``torchvision.transforms.v2``, such as
            ``dict(type='ColorJitter', brightness=0.4)``.

    Raises:
        ValueError: A config is none, or names no such class.
        ImportError: torchvision is not installed.
    """

    def __init__(self, configs: Sequence[Mapping[str, Any]]) -> None:
        is_list = isinstance(configs, Sequence) and not isinstance(configs, str)
        if not (is_list and configs):
            raise ValueError(
                f'transforms must be a list of configs, got {configs!r}; or leave it out'
            )
        self._transforms = [_build(config) for config in configs]

    def __call__(self, inputs: Tensor, preprocessor: nn.Module) -> Tensor:
        """Transforms images, with torch's global random state.

        Args:
            inputs: Normalised images of shape (B, C, H, W).
            preprocessor: What has normalised them, with ``mean`` and ``std``.

        Returns:
            Normalised images of shape (B, C, H', W').

        Raises:
            ValueError: The preprocessor does not normalise, or images become no images of one size.
        """
        mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
        if mean is None or std is None:
            raise ValueError(
                'data_preprocessor must have mean and std for transforms, so that images can be '
                f'taken back to [0, 1], got {type(preprocessor).__name__} without'
            )
        images = [self._transform(image) for image in (inputs * std + mean) / WHITE]
        shapes = sorted({tuple(image.shape) for image in images})
        if len(shapes) > 1:
            raise ValueError(
                f'transforms must give all images of a batch one size, got shapes {shapes}; end '
                "them by dict(type='Resize', size=(height, width))"
            )
        return (torch.stack(images) * WHITE - mean) / std

    def _transform(self, image: Tensor) -> Tensor:
        result: Any = image
        for transform in self._transforms:
            result = transform(result)
            is_image = isinstance(result, Tensor) and result.ndim == image.ndim
            if not (is_image and result.dtype == image.dtype and len(result) == len(image)):
                got = (
                    f'{result.dtype} of shape {tuple(result.shape)}'
                    if isinstance(result, Tensor)
                    else type(result).__name__
                )
                raise ValueError(
                    f'transforms must make an image of an image, got {got} from {transform}; '
                    'leave it out'
                )
        return result

    def __repr__(self) -> str:
        return ', '.join(type(transform).__name__ for transform in self._transforms)


def _build(config: Mapping[str, Any]) -> Callable[[Tensor], Any]:
    """Builds a transform of one image."""
    try:
        from torchvision.transforms import v2
    except ImportError as error:
        raise ImportError('transforms need torchvision: pip install torchvision') from error
    name = config.get('type') if isinstance(config, Mapping) else None
    cls = getattr(v2, name, None) if isinstance(name, str) else None
    if not (isinstance(cls, type) and issubclass(cls, v2.Transform)):
        raise ValueError(
            'transforms must be configs of classes of torchvision.transforms.v2, such as '
            f"dict(type='RandomHorizontalFlip'), got {config!r}"
        )
    if issubclass(cls, (v2.MixUp, v2.CutMix)):
        raise ValueError(
            f'transforms must not mix images, whose labels stay what they are, got {name}; the '
            "model's train_cfg.augments mix those of the main network and of subnets"
        )
    return cls(**{key: value for key, value in config.items() if key != 'type'})
