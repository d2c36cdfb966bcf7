"""Label maps are resized to the nearest pixel, within their padding."""

import pytest
import torch

from mmst.core.label_map import nearest_index, resize_label_map


def test_nearest_pixel_is_the_one_at_the_upper_left():
    assert nearest_index(7, 3).tolist() == [0, 2, 4]
    assert nearest_index(6, 3).tolist() == [0, 2, 4]
    assert nearest_index(3, 7).tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.int64, torch.float32])
def test_image_is_resized_without_its_padding_and_padded_again(dtype):
    image = torch.randint(0, 20, (30, 50), generator=torch.Generator().manual_seed(0))
    padded = torch.full((1, 32, 64), 255, dtype=dtype)
    padded[0, :30, :50] = image
    result = resize_label_map(padded, (30, 50), (13, 22), (16, 32), pad_value=254)
    rows, columns = ([i * old // new for i in range(new)] for old, new in ((30, 13), (50, 22)))
    expected = image[rows][:, columns]
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
