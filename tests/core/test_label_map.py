"""Label maps are resized exactly as OpenCV does it."""

import cv2
import numpy as np
import pytest
import torch

from mmst.core.label_map import nearest_index, resize_label_map


def test_nearest_pixels_are_those_of_opencv():
    torch_differs = 0
    for size in (7, 33, 100, 427, 480, 800, 1333):
        row = np.arange(size, dtype=np.float32)[None]
        for new_size in sorted({max(1, int(size * ratio)) for ratio in np.linspace(0.1, 1.2, 40)}):
            expected = cv2.resize(row, (new_size, 1), interpolation=cv2.INTER_NEAREST)[0]
            assert nearest_index(size, new_size).tolist() == expected.tolist(), (size, new_size)
            theirs = torch.nn.functional.interpolate(torch.tensor(row)[None], size=new_size)[0, 0]
            torch_differs += theirs.tolist() != expected.tolist()
    assert torch_differs > 0, "torch's own nearest would do"


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.int64, torch.float32])
def test_image_is_resized_without_its_padding_and_padded_again(dtype):
    image = np.random.default_rng(0).integers(0, 20, (30, 50))
    padded = torch.full((1, 32, 64), 255, dtype=dtype)
    padded[0, :30, :50] = torch.from_numpy(image)
    result = resize_label_map(padded, (30, 50), (13, 22), (16, 32), pad_value=254)
    expected = cv2.resize(image.astype(np.uint8), (22, 13), interpolation=cv2.INTER_NEAREST)
    assert result.dtype == dtype
    assert result.shape == (1, 16, 32)
    assert result[0, :13, :22].tolist() == expected.tolist()
    assert (result[0, 13:] == 254).all()
    assert (result[0, :, 22:] == 254).all()


def test_result_shares_no_memory_with_the_map():
    labels = torch.zeros(1, 8, 8)
    resize_label_map(labels, (8, 8), (8, 8), (8, 8)).fill_(1)
    assert labels.sum() == 0


def test_map_smaller_than_its_image_is_refused():
    with pytest.raises(ValueError, match=r'got \(8, 8\) for an image of \(8, 9\) pixels'):
        resize_label_map(torch.zeros(1, 8, 8), (8, 9), (4, 4), (4, 4))
