"""Labels of keypoints whose image is smaller, in an input of the old size.

The codec of the model is made for inputs of that size: it encodes the moved keypoints, as it does
in the library's own pipeline. Nothing is approximated, and the width of Gaussians is the codec's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from mmpose.codecs import SimCCLabel
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.structures import PoseDataSample

from .pose_heatmaps import transformed_keypoints

__all__ = ['encode_in_canvas', 'encode_simcc']

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
    for result, encoded in zip(results, _encode(codec, results), strict=True):
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


def _encode(
    codec: BaseKeypointCodec, samples: Sequence[PoseDataSample]
) -> list[dict[str, np.ndarray | torch.Tensor]]:
    """Returns what a codec makes of the transformed keypoints of each of B samples, by name."""
    keypoints = [transformed_keypoints(sample) for sample in samples]
    visible = [sample.gt_instances.keypoints_visible for sample in samples]
    if type(codec) is not SimCCLabel or codec.smoothing_type != 'gaussian':
        return [codec.encode(*pair) for pair in zip(keypoints, visible, strict=True)]
    # All at once and on the device: the codec loops on the host, 0.1 s for 64 whole bodies.
    device = samples[0].gt_instance_labels[WEIGHTS].device
    encoded = encode_simcc(
        codec, np.concatenate(keypoints), torch.from_numpy(np.concatenate(visible)).to(device)
    )
    counts = [len(instances) for instances in keypoints]
    parts = zip(*(values.split(counts) for values in encoded.values()), strict=True)
    return [dict(zip(encoded, part, strict=True)) for part in parts]


def encode_simcc(
    codec: SimCCLabel, keypoints: np.ndarray, visible: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Encodes keypoints into Gaussians over bins, as ``SimCCLabel`` does, on a device.

    Args:
        codec: The codec, with Gaussian smoothing.
        keypoints: Keypoints of shape (n, K, 2), as (x, y) in pixels of the input.
        visible: Their visibility, of shape (n, K), on the device.

    Returns:
        The fields of ``SimCCLabel.encode``: bins of shape (n, K, number of bins) in float32, and
        weights of shape (n, K).
    """
    centres = torch.from_numpy(np.around(keypoints * codec.simcc_split_ratio)).to(visible.device)
    is_labelled, is_seen, bins = visible >= 0.5, torch.ones_like(visible, dtype=torch.bool), []
    for axis, sigma in enumerate(codec.sigma.tolist()):
        length = round(codec.input_size[axis] * codec.simcc_split_ratio)
        centre, radius = centres[..., axis], 3 * sigma
        is_seen &= (centre - radius < length) & (centre + radius + 1 >= 0)
        position = torch.arange(length, device=visible.device, dtype=torch.float32)
        values = position - centre[..., None].float()
        bins.append(values.square_().mul_(-0.5 / sigma**2).exp_())
        if codec.normalize:
            values.div_(sigma * math.sqrt(2 * math.pi))
    for values in bins:
        values.mul_((is_labelled & is_seen)[..., None])
    return {
        'keypoint_x_labels': bins[0],
        'keypoint_y_labels': bins[1],
        WEIGHTS: visible * (is_seen | ~is_labelled),
    }


def _like(
    old: torch.Tensor,
    values: np.ndarray | torch.Tensor,
    name: str,
    codec: BaseKeypointCodec,
) -> torch.Tensor:
    """Returns what a codec made as a tensor of the kind of the main network's.

    Raises:
        ValueError: It has another shape.
    """
    new = torch.as_tensor(values).to(old)
    if new.shape != old.shape:
        raise ValueError(
            'model.head.decoder must be the codec that GenerateTarget encodes with, got '
            f'{type(codec).__name__}, which makes {name} of shape {tuple(new.shape)} where the '
            f'samples have {tuple(old.shape)}'
        )
    return new
