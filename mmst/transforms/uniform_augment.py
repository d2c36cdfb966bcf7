"""UniformAugment for mmpretrain's pipelines: random operations at random levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.utils import is_seq_of

from mmst.engine.registry import TRANSFORMS

from .uint8_images import check_uint8_image

try:
    import mmcv
    from mmcv.transforms import BaseTransform
    from mmpretrain.datasets import Cutout, RandAugment
except ModuleNotFoundError as error:
    if (error.name or '').split('.')[0] not in ('mmcv', 'mmpretrain'):
        raise
    raise ImportError(
        f'mmst.UniformAugment and mmst.PCALighting need mmpretrain and mmcv, and {error.name} '
        'is not installed; in '
        'mmst\'s folder: pip install -e ".[cls]" (mmcv: see docs/install.md)'
    ) from error

__all__ = ['Identity', 'RelativeCutout', 'UniformAugment']

_INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'area', 'lanczos')

Color = int | Sequence[int]


@TRANSFORMS.register_module()
class Identity(BaseTransform):
    """Returns what it is given."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Returns ``results``."""
        return results


@TRANSFORMS.register_module()
class RelativeCutout(Cutout):
    """mmpretrain's ``Cutout`` with its size relative to the image's shorter side."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cuts a square out of ``results['img']``, around a uniformly random pixel."""
        if not self.random_disable():
            image = results['img']
            side = int(self.random_magnitude() * min(image.shape[:2]))
            results['img'] = mmcv.cutout(image, side, pad_val=self.pad_val)
        return results


@TRANSFORMS.register_module()
class UniformAugment(RandAugment):
    """UniformAugment (arXiv 2003.14348), as in the ImageNet recipes of stimulative training.

    Operations are drawn from 16 with replacement; each is applied with probability ``prob`` at a
    uniformly random level. They are mmpretrain's, at the levels of UniformAugment's released code:

    ================================  =====================================================
    identity                          --
    shear x, shear y                  -0.3 to 0.3
    translate x, translate y          -0.45 to 0.45 of the width, of the height
    rotate                            -30 to 30 degrees
    auto-contrast, invert, equalize   --
    solarize                          pixels above a threshold of 0 to 256
    posterize                         4 to 7 bits, an integer (8 would change nothing)
    contrast, colour, brightness,     factor 0.1 to 1.9
    sharpness
    cutout                            a square of 0 to 0.2 of the image's shorter side
    ================================  =====================================================

    That code first draws the probability itself, uniformly from [0, 1]: an operation is applied
    half of the time, the same as with a fixed 0.5.

    Args:
        num_ops: Operations drawn for each image.
        prob: Probability of each to be applied, in [0, 1].
        pad_val: Grey level, or three in the channel order of the image (BGR in mmpretrain), of
            what shear, translation and rotation bring into the image.
        cutout_val: The same for what cutout covers. Defaults to about ImageNet's mean.
        interpolation: Of shear, translation and rotation: ``'nearest'``, ``'bilinear'``,
            ``'bicubic'``, ``'area'`` or ``'lanczos'``.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        num_ops: int = 2,
        prob: float = 0.5,
        pad_val: Color = 0,
        cutout_val: Color = (114, 123, 125),
        interpolation: str = 'nearest',
    ) -> None:
        if not isinstance(num_ops, int) or num_ops < 1:
            raise ValueError(f'num_ops must be an integer of at least 1, got {num_ops!r}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], got {prob!r}')
        _check_color('pad_val', pad_val)
        _check_color('cutout_val', cutout_val)
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f'interpolation must be one of {_INTERPOLATIONS}, got {interpolation!r}'
            )
        policies = [*_geometric(pad_val, interpolation), *_photometric(), _cutout(cutout_val)]
        # Levels: 'inf' draws them uniformly from 0 to magnitude_level, and mmpretrain negates half
        # of those of which both signs make sense.
        super().__init__(
            [*({**policy, 'prob': prob} for policy in policies), {'type': 'mmst.Identity'}],
            num_policies=num_ops,
            magnitude_level=10,
            magnitude_std='inf',
            total_level=10,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Augments an image.

        Args:
            results: ``img``, (H, W, 3) uint8, is replaced by a new image of that shape and type.

        Returns:
            ``results``.

        Raises:
            ValueError: The image has another type, or not three channels.
        """
        check_uint8_image('UniformAugment', results['img'])
        return super().transform(results)


def _geometric(pad_val: Color, interpolation: str) -> list[dict[str, Any]]:
    common: dict[str, Any] = {'pad_val': pad_val, 'interpolation': interpolation}
    directed: list[dict[str, Any]] = [
        {'type': f'mmpretrain.{name}', 'magnitude_range': (0, highest), 'direction': direction}
        for name, highest in (('Shear', 0.3), ('Translate', 0.45))
        for direction in ('horizontal', 'vertical')
    ]
    rotation: dict[str, Any] = {'type': 'mmpretrain.Rotate', 'magnitude_range': (0, 30)}
    return [{**policy, **common} for policy in (*directed, rotation)]


def _photometric() -> list[dict[str, Any]]:
    plain = [{'type': f'mmpretrain.{name}'} for name in ('AutoContrast', 'Invert', 'Equalize')]
    levels = {
        'Solarize': (0, 256),
        'Posterize': (3, 7),  # rounded up there
        **dict.fromkeys(('Contrast', 'ColorTransform', 'Brightness', 'Sharpness'), (0, 0.9)),
    }
    return plain + [
        {'type': f'mmpretrain.{name}', 'magnitude_range': levels[name]} for name in levels
    ]


def _cutout(color: Color) -> dict[str, Any]:
    return {'type': 'mmst.RelativeCutout', 'magnitude_range': (0, 0.2), 'pad_val': color}


def _check_color(name: str, color: Color) -> None:
    values = [color] * 3 if isinstance(color, int) else color
    if not (is_seq_of(values, int) and len(values) == 3 and all(0 <= v <= 255 for v in values)):
        raise ValueError(f'{name} must be one or three integers in [0, 255], got {color!r}')
