"""PCA lighting: the shift is AlexNet's, and nothing wraps around."""

import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from mmpretrain.utils import register_all_modules

import mmst  # noqa: F401 - registers what configs name

RGB_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
VALUES = 255 * np.array([0.2175, 0.0188, 0.0045])


@pytest.fixture
def lighting():
    register_all_modules(init_default_scope=False)
    return TRANSFORMS.build({'type': 'mmst.PCALighting', 'alphastd': 0.1})


def test_shift_is_that_of_the_principal_components(lighting):
    image = np.full((4, 5, 3), 128, np.uint8)
    before = image.copy()
    np.random.seed(3)
    shifted = lighting({'img': image})['img']
    np.random.seed(3)
    alpha = np.random.normal(0, 0.1, 3)
    red, green, blue = 128 + RGB_VECTORS @ (alpha * VALUES)
    assert shifted.dtype == np.uint8
    assert np.abs(shifted - np.array([blue, green, red])).max() <= 0.51
    assert not np.array_equal(shifted, before)
    assert np.array_equal(image, before)


def test_white_stays_white_and_black_black(lighting):
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 255
    np.random.seed(0)
    for _ in range(50):
        shifted = lighting({'img': image})['img']
        assert shifted[0].min() > 200 and shifted[1].max() < 55


def test_negative_deviation_is_refused():
    with pytest.raises(ValueError, match='alphastd must be at least 0, got -1'):
        TRANSFORMS.build({'type': 'mmst.PCALighting', 'alphastd': -1})


@pytest.mark.parametrize(
    'image', [np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.uint8)], ids=['float', 'grey']
)
def test_other_images_are_refused(lighting, image):
    with pytest.raises(ValueError, match=r'PCALighting needs images of shape \(H, W, 3\) and type'):
        lighting({'img': image})
