"""Keypoints stay where the image shows them: a blob is drawn at each, and found again."""

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import TRANSFORMS
from mmpose.models import PoseDataPreprocessor
from mmpose.registry import KEYPOINT_CODECS
from torch import nn

from mmst.engine.batch import subnet_batch

SIZE = (128, 192)  # width, height, as everywhere in mmpose
BLOBS, SIGMA = 12, 6.0
HEATMAP = {'input_size': SIZE, 'heatmap_size': (32, 48), 'sigma': 2.0}
MSRA = {'type': 'MSRAHeatmap', **HEATMAP}
UNBIASED = {**MSRA, 'unbiased': True}
UDP = {'type': 'UDPHeatmap', **HEATMAP}
REGRESSION = {'type': 'RegressionLabel', 'input_size': SIZE}


pytestmark = pytest.mark.usefixtures('mmpose_scope')


def model_of(codec, divisor):
    model = nn.Module()
    model.data_preprocessor = PoseDataPreprocessor(pad_size_divisor=divisor)
    model.head = nn.Module()
    model.head.decoder = KEYPOINT_CODECS.build(codec)
    return model


def blob_batch(codec):
    """Crops of images that show nothing but a blob at their only keypoint."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'GetBBoxCenterScale'},
                {'type': 'TopdownAffine', 'input_size': SIZE, 'use_udp': codec is UDP},
                {'type': 'GenerateTarget', 'encoder': codec},
                {'type': 'PackPoseInputs', 'pack_transformed': True},
            )
        ]
    )
    rng, packed = np.random.default_rng(0), []
    columns, rows = np.arange(250), np.arange(300)[:, None]
    for number in range(BLOBS):
        x, y = rng.uniform((95, 100), (155, 190))
        image = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
        info = {
            'img': np.repeat(255 * image[..., None], 3, axis=-1).astype(np.float32),
            'img_id': number,
            'bbox': np.array([[60, 40, 190, 250]], np.float32),
            'keypoints': np.array([[[x, y]]], np.float32),
            'keypoints_visible': np.ones((1, 1), np.float32),
        }
        packed.append(pipeline(info))
    return PoseDataPreprocessor().forward(pseudo_collate(packed), training=True)


def blobs(images):
    """Centres of mass (x, y) of images of shape (B, C, H, W), in pixels."""
    mass = images[:, 0].double()
    mass = mass / mass.sum((1, 2), keepdim=True)
    columns, rows = (torch.arange(size, dtype=torch.double) for size in mass.shape[:0:-1])
    return torch.stack([(mass.sum(1) * columns).sum(1), (mass.sum(2) * rows).sum(1)], dim=-1)


def gaussian_centre(profile):
    """Mean of a sampled Gaussian, from the logarithms of three values around its peak."""
    top = int(profile.argmax())
    before, peak, after = profile[top - 1 : top + 2].double().log()
    return top + (after - before) / (2 * (2 * peak - before - after))


def heatmap_keypoints(samples):
    """Peaks (x, y) of single heatmaps, to a fraction of a pixel."""
    maps = [sample.gt_fields.heatmaps[0] for sample in samples]
    return torch.stack(
        [torch.stack([gaussian_centre(m.amax(0)), gaussian_centre(m.amax(1))]) for m in maps]
    )


def keypoints_of(codec, samples, padded_wh):
    """Keypoints of the labels of a codec, in pixels of an input of that size."""
    if codec is REGRESSION:
        labels = torch.stack([s.gt_instance_labels.keypoint_labels[0, 0] for s in samples])
        return labels * torch.tensor(padded_wh)
    size = torch.tensor(padded_wh)
    steps = (size - 1) / (size // 4 - 1) if codec is UDP else 4
    return heatmap_keypoints(samples) * steps


def assert_near(keypoints, expected, atol):
    assert len(expected) == BLOBS
    torch.testing.assert_close(keypoints.double(), expected.double(), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ('codec', 'to_wh', 'divisor'),
    [
        (UNBIASED, (56, 84), 4),
        (UNBIASED, (55, 83), 32),
        (UDP, (56, 84), 4),
        (UDP, (55, 83), 32),
        (REGRESSION, (56, 84), 4),
        (REGRESSION, (55, 83), 32),
        (MSRA, (56, 84), 4),
    ],
    ids=['msra', 'msra-padded', 'udp', 'udp-padded', 'regression', 'regression-padded', 'rounded'],
)
def test_labels_are_where_the_smaller_image_shows_the_keypoint(codec, to_wh, divisor):
    main = blob_batch(codec)
    seen = blobs(main['inputs'])
    packed = torch.tensor(
        np.concatenate([s.gt_instances.transformed_keypoints[0] for s in main['data_samples']])
    )
    assert_near(packed, seen, 0.02)  # mmpose's crop agrees with its keypoints
    if codec is not MSRA:
        assert_near(keypoints_of(codec, main['data_samples'], SIZE), seen, 0.02)

    small = subnet_batch(model_of(codec, divisor), **main, list_sizes=lambda _: [to_wh[::-1]])
    seen, padded_wh = blobs(small.inputs), tuple(small.inputs.shape[:1:-1])
    assert (padded_wh == to_wh) == (divisor < 32)
    keypoints = np.concatenate(
        [s.gt_instances.transformed_keypoints[0] for s in small.data_samples]
    )
    assert_near(torch.tensor(keypoints), seen, 0.02)
    found = keypoints_of(codec, small.data_samples, padded_wh)
    if codec is MSRA:  # to the nearest pixel of the heatmap, as at full size
        assert torch.equal((seen / 4 + 0.5).floor() * 4, found)
    else:
        assert_near(found, seen, 0.02)
