"""A classifier's subnets may see transformed images; the main network's stay."""

import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import nn
from torchvision.transforms import v2

from mmst.core import Draw
from mmst.engine.batch import check_batch, draw_subnet_batch
from mmst.engine.image_transforms import ImageTransforms
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.random_state import private_random_state
from mmst.ground_truth import Task, register_task

MEAN, STD = [123.0, 116.0, 103.0], [58.0, 57.0, 56.0]
FLIP = {'type': 'RandomHorizontalFlip', 'p': 1.0}


@pytest.fixture
def preprocessor():
    return ImgDataPreprocessor(MEAN, STD)


@pytest.fixture
def raw():
    """Six images of 16 x 20 pixels in [0, 1]."""
    return torch.rand(6, 3, 16, 20, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def inputs(raw, preprocessor):
    return (raw * 255 - preprocessor.mean) / preprocessor.std


def test_transforms_see_images_between_0_and_1(raw, inputs, preprocessor):
    jitter = {'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4, 'hue': 0.1}
    transforms = ImageTransforms([{'type': 'ColorJitter', **jitter}, FLIP])
    torch.manual_seed(3)
    ours = transforms(inputs, preprocessor)
    torch.manual_seed(3)
    native = v2.Compose([v2.ColorJitter(**jitter), v2.RandomHorizontalFlip(p=1.0)])
    theirs = [native(image) for image in raw]
    expected = (torch.stack(theirs) * 255 - preprocessor.mean) / preprocessor.std
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)
    assert (ours - inputs.flip(-1)).abs().amax((1, 2, 3)).min() > 0.05


def test_each_image_is_transformed_by_itself(inputs, preprocessor):
    torch.manual_seed(0)
    half = ImageTransforms([{'type': 'RandomHorizontalFlip'}])(inputs, preprocessor)
    kept, flipped = (
        [torch.allclose(a, b, atol=1e-4) for a, b in zip(half, images, strict=True)]
        for images in (inputs, inputs.flip(-1))
    )
    assert any(kept) and any(flipped)
    assert all(one != other for one, other in zip(kept, flipped, strict=True))


@pytest.mark.parametrize(
    ('configs', 'message'),
    [
        ([], r'must be a list of configs, got \[\]'),
        ('RandomHorizontalFlip', 'must be a list of configs'),
        (['Flip'], "must be configs of classes of torchvision.transforms.v2, .* got 'Flip'"),
        ([{'type': 'functional'}], "got {'type': 'functional'}"),
        ([{'type': 'MixUp', 'num_classes': 5}], 'must not mix images, .* got MixUp'),
    ],
)
def test_what_is_no_transform_of_an_image_is_refused(configs, message):
    with pytest.raises(ValueError, match=message):
        ImageTransforms(configs)


def test_images_stay_images_of_one_size(inputs, preprocessor):
    to_bytes = ImageTransforms([{'type': 'ToDtype', 'dtype': torch.uint8, 'scale': True}])
    with pytest.raises(ValueError, match=r'got torch.uint8 of shape \(3, 16, 20\) from ToDtype'):
        to_bytes(inputs, preprocessor)
    zoom = ImageTransforms([{'type': 'RandomResize', 'min_size': 8, 'max_size': 16}])
    with pytest.raises(ValueError, match='must give all images of a batch one size, got shapes'):
        zoom(inputs, preprocessor)
    with pytest.raises(ValueError, match='must have mean and std .* got ImgDataPreprocessor'):
        to_bytes(inputs, ImgDataPreprocessor())


class Classifier(nn.Module):
    """Just what a subnet's batch needs of a model."""

    def __init__(self, preprocessor):
        super().__init__()
        self.data_preprocessor = preprocessor


class Label(BaseDataElement):
    """The class of an image."""


@register_task(Label)
class LabelTask(Task):
    """Labels fit images of any size."""

    def is_placeless(self, data_samples):
        return True

    def resize_samples(self, model, data_samples, resizes):
        return data_samples


@pytest.fixture
def batch(inputs):
    return {'inputs': inputs, 'data_samples': [Label() for _ in inputs]}


def test_they_are_drawn_by_the_pass_after_the_resize(batch, inputs, preprocessor):
    """So a resumed run repeats them, other passes differ, and nothing else draws otherwise."""
    model = Classifier(preprocessor)
    settings = {'min_ratio': 0.5, 'size_divisor': 4}
    crop = {'type': 'RandomCrop', 'size': [8, 8]}
    plain = RandomSmallerInput(**settings)
    rule = RandomSmallerInput(**settings, transforms=[{'type': 'RandomHorizontalFlip'}, crop])
    check_batch(model, **batch, rule=rule)

    def images(rule, step):
        draw = Draw(seed=0, step=step)
        return draw_subnet_batch(model, **batch, draw=draw, rule=rule, batch_fraction=1.0)

    state = torch.get_rng_state()
    first, again, other = (images(rule, step) for step in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert first.inputs.shape == (6, 3, 8, 8) and first.sizes_hw == [(8, 8)] * 6
    resized = images(plain, 1)
    assert first.image_hw == resized.image_hw
    with private_random_state(f'{Draw(0, 1).key("transforms")}:0', torch.device('cpu')):
        expected = rule.transforms(resized.inputs, preprocessor)
    assert torch.equal(first.inputs, expected)
    assert first.data_samples is batch['data_samples']
    assert torch.equal(batch['inputs'], inputs)


def test_transforms_make_a_pass_of_the_whole_network_another_one():
    rule = RandomSmallerInput(1.0, transforms=[FLIP])
    assert rule.changes_images and not rule.changes_size
    assert not RandomSmallerInput(1.0).changes_images
    assert str(rule).endswith(', then RandomHorizontalFlip')
