"""Heatmaps of keypoints at another size, as the codecs of mmpose encode them.

mmpose encodes one keypoint after the other, in the workers of the dataloader. Here, a whole batch
is encoded at once, on its device. B is the number of images, K that of keypoints.

mmpose's ``MSRAHeatmap`` and ``UDPHeatmap`` are followed value for value where 3 sigma is a whole
number of pixels, as in the shipped configs. Elsewhere they round the corner and the centre of a
Gaussian differently and put its peak beside the keypoint: by one pixel, at every keypoint, where
the fraction of 3 sigma is below one half, and else near the upper and left border. Sigma shrinks
with the image, so that most subnets would be taught that shift. Here the peak is always at the
keypoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmst.core.resize import Size

from .image_resize import ImageResize
from .remedies import KEEP_CANVAS

__all__ = [
    'can_encode',
    'encode_heatmaps',
    'encode_msra',
    'encode_udp',
    'gaussian_maps',
    'register_heatmap_codec',
    'resized_heatmap_size',
    'transformed_keypoints',
]

Encoder = Callable[[BaseKeypointCodec, Tensor, ImageResize, Size], tuple[Tensor, Tensor]]

_encoders: dict[type[BaseKeypointCodec], Encoder] = {}


def register_heatmap_codec(codec_type: type[BaseKeypointCodec]) -> Callable[[Encoder], Encoder]:
    """Registers how a codec of mmpose encodes the heatmaps of a resized batch.

    The decorated function takes the codec of the main network, keypoints of shape (B, K, 2) in
    pixels of the resized inputs, the :class:`ImageResize` and the new size (h, w) of the heatmaps.
    It returns heatmaps of shape (B, K, h, w) and a bool tensor of shape (B, K): which of the
    keypoints can be seen in them.
    """

    def register(encoder: Encoder) -> Encoder:
        _encoders[codec_type] = encoder
        return encoder

    return register


def can_encode(codec: BaseKeypointCodec | None) -> bool:
    """Returns whether the encoding of a codec for a resized batch is known."""
    return type(codec) in _encoders


def resized_heatmap_size(map_hw: Size, resize: ImageResize) -> Size:
    """Size of heatmaps that cover the resized batch as ``map_hw`` covers the main network's.

    Raises:
        ValueError: It is no whole number of pixels.
    """
    products = [new * cells for new, cells in zip(resize.padded_hw, map_hw, strict=True)]
    if any(product % old for product, old in zip(products, resize.from_hw, strict=True)):
        raise ValueError(
            'data_preprocessor.pad_size_divisor must make heatmaps of whole pixels, got inputs of '
            f'{resize.padded_hw} for heatmaps of {map_hw[0] / resize.from_hw[0]:g} times the size; '
            'set it to a multiple of the stride of the heatmaps, 32 for most networks'
        )
    height, width = (product // old for product, old in zip(products, resize.from_hw, strict=True))
    return height, width


def encode_heatmaps(
    codec: BaseKeypointCodec | None,
    data_sample: PoseDataSample,
    results: Sequence[PoseDataSample],
    resize: ImageResize,
) -> None:
    """Encodes the keypoints of B resized samples into their heatmaps, in place.

    Keypoints keep the weight that they have for the main network, unless they are no longer seen.

    Args:
        codec: The codec of the model's head.
        data_sample: One of the main network's samples.
        results: The resized samples, with transformed keypoints and heatmaps of the new size.
        resize: The resize of all B images.

    Raises:
        ValueError: There are no transformed keypoints, or the codec cannot be resized or is not
            that of the samples.
    """
    encoder = _find_encoder(codec, data_sample, resize)
    device = results[0].gt_fields.heatmaps.device
    keypoints = _stack([transformed_keypoints(sample) for sample in results], device)
    visible = _stack([sample.gt_instances.keypoints_visible for sample in results], device)
    heatmaps, is_seen = encoder(codec, keypoints, resize, results[0].gt_fields.shape)
    # As in mmpose's codecs: an unlabelled keypoint has no heatmap but keeps the weight it has.
    is_labelled = visible >= 0.5
    heatmaps *= (is_labelled & is_seen)[..., None, None]
    for result, maps, kept in zip(results, heatmaps, is_seen | ~is_labelled, strict=True):
        result.gt_fields.heatmaps = maps
        result.gt_instance_labels.keypoint_weights *= kept


@register_heatmap_codec(MSRAHeatmap)
def encode_msra(
    codec: MSRAHeatmap, keypoints: Tensor, resize: ImageResize, map_hw: Size
) -> tuple[Tensor, Tensor]:
    """See :func:`register_heatmap_codec`. The unbiased variant does not round to pixels."""
    centres = keypoints / keypoints.new_tensor(codec.scale_factor)
    sigma, image_hw = codec.sigma * resize.ratio, _image_part(map_hw, resize)
    if codec.unbiased:
        return gaussian_maps(centres, sigma, map_hw, image_hw)
    pixels = (centres + 0.5).trunc()
    return gaussian_maps(pixels, sigma, map_hw, image_hw, cut_around=pixels)


@register_heatmap_codec(UDPHeatmap)
def encode_udp(
    codec: UDPHeatmap, keypoints: Tensor, resize: ImageResize, map_hw: Size
) -> tuple[Tensor, Tensor]:
    """See :func:`register_heatmap_codec`. Distances are between pixel centres, sizes minus one."""
    if codec.heatmap_type != 'gaussian':
        raise ValueError(
            "codec.heatmap_type must be 'gaussian' for smaller inputs, got "
            f'{codec.heatmap_type!r}; {KEEP_CANVAS}'
        )
    sizes = zip(map_hw[::-1], resize.padded_hw[::-1], strict=True)
    centres = keypoints * keypoints.new_tensor([(new - 1) / (old - 1) for new, old in sizes])
    sigma, image_hw = codec.sigma * resize.ratio, _image_part(map_hw, resize)
    return gaussian_maps(centres, sigma, map_hw, image_hw, cut_around=(centres + 0.5).trunc())


def gaussian_maps(
    centres: Tensor,
    sigma: float,
    map_hw: Size,
    image_hw: Size,
    cut_around: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws one Gaussian a map, with peak 1.

    Args:
        centres: Where they are, of shape (B, K, 2), as (x, y) in pixels of the maps.
        sigma: Their standard deviation in pixels.
        map_hw: Size (h, w) of the maps.
        image_hw: Part of the maps that is covered by images; the rest stays 0.
        cut_around: Whole pixels, of shape (B, K, 2), more than 3 sigma from which they are 0.

    Returns:
        Maps of shape (B, K, h, w), and which Gaussians reach the image, within 3 sigma: a bool
        tensor of shape (B, K).
    """
    radius = round(3 * sigma, 6)  # so that a third of a pixel is one
    if cut_around is None:
        low, high = centres - radius, centres + radius
    else:
        low, high = cut_around - math.ceil(radius), cut_around + math.floor(radius)
    sizes = centres.new_tensor(image_hw[::-1])
    reaches = ((low < sizes) & (high + 1 >= 0)).all(dim=-1)
    profiles = []
    for axis, (length, covered) in enumerate(zip(map_hw[::-1], image_hw[::-1], strict=True)):
        position = torch.arange(length, device=centres.device, dtype=centres.dtype)
        profile = (-((position - centres[..., axis, None]) ** 2) / (2 * sigma**2)).exp()
        shown = position < covered
        if cut_around is not None:
            shown = shown & (position >= low[..., axis, None]) & (position <= high[..., axis, None])
        profiles.append(profile * shown)
    return profiles[1][..., :, None] * profiles[0][..., None, :], reaches


def _image_part(map_hw: Size, resize: ImageResize) -> Size:
    """Size of the part of a padded batch's heatmaps that images cover, rounded up."""
    sizes = zip(map_hw, resize.to_hw, resize.padded_hw, strict=True)
    height, width = (-(-cells * new // padded) for cells, new, padded in sizes)
    return height, width


def _find_encoder(
    codec: BaseKeypointCodec | None, sample: PoseDataSample, resize: ImageResize
) -> Encoder:
    """Finds the encoder of a codec, which must be that of the main network's sample."""
    encoder = _encoders.get(type(codec))
    if codec is None or encoder is None:
        known = ', '.join(sorted(known.__name__ for known in _encoders))
        raise ValueError(
            f'model.head.decoder must be a codec of heatmaps that can be resized ({known}), got '
            f'{type(codec).__name__}; set it to the codec that GenerateTarget encodes with, '
            'register the codec with @mmst.ground_truth.pose_heatmaps.register_heatmap_codec, or '
            f'{KEEP_CANVAS}'
        )
    sizes = (tuple(codec.input_size), tuple(codec.heatmap_size))
    expected = (resize.from_hw[::-1], sample.gt_fields.shape[::-1])
    if sizes != expected:
        raise ValueError(
            'model.head.decoder must be the codec that GenerateTarget encodes with, got one for '
            f'inputs and heatmaps (width, height) of {sizes} for a batch of {expected}'
        )
    return encoder


def transformed_keypoints(sample: PoseDataSample) -> np.ndarray:
    """Returns the keypoints of a sample, of shape (n, K, 2), in pixels of the network's input.

    Raises:
        ValueError: They are not packed.
    """
    if 'transformed_keypoints' not in sample.gt_instances:
        raise ValueError(
            "gt_instances must have 'transformed_keypoints', from which the labels of smaller "
            f"images are encoded, got {sorted(sample.gt_instances.keys())}; set dict(type='"
            "PackPoseInputs', pack_transformed=True) in the training pipeline"
        )
    return sample.gt_instances.transformed_keypoints


def _stack(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Stacks B arrays of shape (1, ...) to a float tensor of shape (B, ...) on the device."""
    return torch.from_numpy(np.concatenate(arrays)).float().to(device)
