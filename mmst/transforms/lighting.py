"""PCA lighting for mmpretrain's pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmpretrain.datasets import Lighting

from mmst.engine.registry import TRANSFORMS

from .uint8_images import check_uint8_image

__all__ = ['PCALighting']

# Of ImageNet's pixels in [0, 255] (AlexNet, section 4.1); rows are blue, green, red.
_EIGENVALUES = (55.4625, 4.7940, 1.1475)
_EIGENVECTORS = (
    (-0.5836, -0.6948, 0.4203),
    (-0.5808, -0.0045, -0.8140),
    (-0.5675, 0.7192, 0.4009),
)


@TRANSFORMS.register_module()
class PCALighting(Lighting):
    """mmpretrain's ``Lighting`` with ImageNet's principal components, for uint8 images.

    mmpretrain's own lets bright pixels of uint8 images wrap around to black.

    Args:
        alphastd: Standard deviation of the factor of each component; 0.1 in AlexNet and ST++
            Table V.

    Raises:
        ValueError: ``alphastd`` is negative.
    """

    def __init__(self, alphastd: float = 0.1) -> None:
        if not alphastd >= 0:
            raise ValueError(f'alphastd must be at least 0, got {alphastd!r}')
        super().__init__(_EIGENVALUES, _EIGENVECTORS, alphastd=float(alphastd), to_rgb=False)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shifts the colours of an image.

        Args:
            results: ``img``, (H, W, 3) uint8 BGR, is replaced by a new image of that shape and
                type.

        Raises:
            ValueError: The image has another type, or not three channels.
        """
        check_uint8_image('PCALighting', results['img'])
        results['img'] = results['img'].astype(np.float32)
        results = super().transform(results)
        results['img'] = results['img'].round().clip(0, 255).astype(np.uint8)
        return results
