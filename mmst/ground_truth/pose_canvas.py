"""Labels of keypoints whose image is smaller, in an input of the old size.

The codec of the model is made for inputs of that size: it encodes the moved keypoints, as it does
in the library's own pipeline. Nothing is approximated, and the width of Gaussians is the codec's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.structures import PoseDataSample

from .pose_heatmaps import transformed_keypoints

__all__ = ['encode_in_canvas']

WEIGHTS = 'keypoint_weights'


def encode_in_canvas(codec: BaseKeypointCodec | None, results: Sequence[PoseDataSample]) -> None:
    """Encodes the keypoints of B samples into all labels that a codec makes, in place.

    Keypoints keep the weight that they have for the main network, unless the codec drops them where
    they are now. A keypoint outside the main network's input has none: the padding that it may now
    lie in does not show it.

    Args:
        codec: The codec of the model's head.
        results: Copies of the main network's samples, with moved transformed keypoints.

    Raises:
        ValueError: There is no codec, it is not that of the samples, or there are no transformed
            keypoints.
    """
    if codec is None:
        raise ValueError(
            'model.head.decoder must be the codec that GenerateTarget encodes with, got none; set '
            'it, or train subnets at full size (inputs=None)'
        )
    for result in results:
        encoded = codec.encode(
            keypoints=transformed_keypoints(result),
            keypoints_visible=result.gt_instances.keypoints_visible,
        )
        for table, elements in (
            (codec.label_mapping_table, result.get('gt_instance_labels')),
            (codec.field_mapping_table, result.get('gt_fields')),
        ):
            for key, name in table.items():
                old = elements.get(name) if elements is not None else None
                if old is None:
                    continue
                new = _like(old, encoded[key], name, codec)
                elements.set_field(old * (new > 0) if name == WEIGHTS else new, name)


def _like(
    old: torch.Tensor, values: np.ndarray, name: str, codec: BaseKeypointCodec
) -> torch.Tensor:
    """Returns what a codec made as a tensor of the kind of the main network's.

    Raises:
        ValueError: It has another shape.
    """
    new = torch.from_numpy(values).to(old)
    if new.shape != old.shape:
        raise ValueError(
            'model.head.decoder must be the codec that GenerateTarget encodes with, got '
            f'{type(codec).__name__}, which makes {name} of shape {tuple(new.shape)} where the '
            f'samples have {tuple(old.shape)}'
        )
    return new
