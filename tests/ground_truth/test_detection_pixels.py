"""Boxes and polygons of mmdet stay where the image shows the object."""

import numpy as np
import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.mask import PolygonMasks
from mmengine.structures import InstanceData
from torch import nn

from mmst.engine.batch import subnet_batch

HEIGHT, WIDTH, OBJECTS = 160, 192, 100


def objects():
    """Images with one bright rectangle each, and what mmdet's pipeline says of it."""
    rng = np.random.default_rng(0)
    images, samples = [], []
    for _ in range(OBJECTS):
        left, top = rng.integers(0, (90, 70))
        right, bottom = rng.integers((left + 20, top + 20), (WIDTH, HEIGHT))
        image = np.zeros((HEIGHT, WIDTH), np.uint8)
        image[top:bottom, left:right] = 1
        corners = np.array([left, top, right, top, right, bottom, left, bottom], np.float64)
        shape = {'img_shape': (HEIGHT, WIDTH), 'pad_shape': (HEIGHT, WIDTH)}
        sample = DetDataSample(metainfo={**shape, 'batch_input_shape': (HEIGHT, WIDTH)})
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[left, top, right, bottom]], dtype=torch.float32),
            labels=torch.tensor([0]),
        )
        sample.ignored_instances = InstanceData(masks=PolygonMasks([[corners]], HEIGHT, WIDTH))
        images.append(torch.from_numpy(image).float().expand(3, -1, -1))
        samples.append(sample)
    return torch.stack(images), samples


def centre(mass):
    """Centre of mass (x, y) of a picture, measured along the edges of pixels."""
    mass = torch.as_tensor(mass).double()
    axes = [(torch.arange(size) + 0.5).double() for size in mass.shape]
    x, y = (mass.sum(0) * axes[1]).sum(), (mass.sum(1) * axes[0]).sum()
    return torch.stack([x, y]) / mass.sum()


@pytest.mark.parametrize('to_hw', [(69, 83), (150, 180), (101, 121)])
def test_ground_truth_is_where_the_image_shows_the_object(to_hw):
    model = nn.Module()
    model.data_preprocessor = DetDataPreprocessor(pad_mask=False, pad_seg=False)
    images, samples = objects()
    small = subnet_batch(model, images, samples, list_sizes=lambda _: [to_hw])
    shifts = {'box': [], 'polygon': []}
    for image, sample in zip(small.inputs, small.data_samples, strict=True):
        seen = centre(image[0])
        box = sample.gt_instances.bboxes[0].double()
        corners = torch.from_numpy(sample.ignored_instances.masks.masks[0][0]).reshape(4, 2)
        shifts['box'].append((box[:2] + box[2:]) / 2 - seen)
        shifts['polygon'].append(corners.mean(0) - seen)
    for kind, each in shifts.items():
        assert len(each) == OBJECTS
        assert torch.stack(each).mean(0).abs().max() < 0.1, kind  # of a pixel
