"""The pixel conversion of a preprocessor is undone."""

import numpy as np
import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from mmst.browse.pixels import input_pictures, is_rgb

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def preprocessed(images, **settings):
    """Images (C, h, w), uint8, as a batch padded to a multiple of 8, and the preprocessor."""
    preprocessor = ImgDataPreprocessor(**settings, pad_size_divisor=8)
    data = preprocessor({'inputs': [torch.from_numpy(image) for image in images]}, True)
    return data['inputs'], preprocessor


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize('rgb', [True, False])
@pytest.mark.parametrize('settings', [{'mean': MEAN, 'std': STD}, {}])
def test_pictures_are_the_images_as_rgb(rgb, settings):
    bgr = [noise(3, 10, 16), noise(3, 16, 9)]
    inputs, preprocessor = preprocessed(bgr, bgr_to_rgb=rgb, **settings)
    pictures = input_pictures(inputs, preprocessor, rgb)
    assert len(pictures) == 2
    for picture, image in zip(pictures, bgr, strict=True):
        height, width = image.shape[1:]
        assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture[:height, :width], image[::-1].transpose(1, 2, 0))
        padding = np.ones((16, 16), bool)
        padding[:height, :width] = False
        expected = [124, 116, 104] if settings else [0, 0, 0]
        assert (picture[padding] == (expected if rgb else expected[::-1])).all()


def test_a_grey_image_is_grey():
    image = noise(1, 8, 8)
    inputs, preprocessor = preprocessed([image], mean=[100.0], std=[50.0])
    (picture,) = input_pictures(inputs, preprocessor, rgb=False)
    np.testing.assert_array_equal(picture, np.repeat(image.transpose(1, 2, 0), 3, axis=2))


def test_values_that_no_image_has_are_clipped():
    inputs = torch.tensor([-5.0, 300.0]).reshape(1, 1, 1, 2)
    (picture,) = input_pictures(inputs, torch.nn.Identity(), rgb=True)
    assert picture[0].tolist() == [[0] * 3, [255] * 3]


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match='1 or 3 channels to be drawn, got 4'):
        input_pictures(torch.zeros(1, 4, 8, 8), torch.nn.Identity(), rgb=True)


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({'bgr_to_rgb': True}, True),
        ({'to_rgb': True}, True),
        ({'bgr_to_rgb': False, 'rgb_to_bgr': False}, False),
        ({}, False),
    ],
)
def test_order_of_the_channels_is_that_of_the_config(settings, expected):
    assert is_rgb(settings) is expected
