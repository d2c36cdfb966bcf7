"""Effective receptive fields whose values are known, and what is drawn and written of them."""

import csv
import json
from itertools import pairwise

import cv2
import pytest
import torch
from torch import nn

from mmst.analysis.receptive_field import (
    ReceptiveField,
    area_ratio,
    contribution_scores,
    last_feature_map,
    square_side,
    write_csv,
    write_json,
)
from mmst.analysis.receptive_field_plot import plot_receptive_fields


def box_filters(number, stride=1):
    """Filters that add up 3 x 3 pixels."""
    filters = [nn.Conv2d(1, 1, 3, stride, 1, bias=False) for _ in range(number)]
    for one in filters:
        nn.init.ones_(one.weight)
    return nn.Sequential(*filters)


def field_of(*networks, size=(9, 9), images=2):
    scores, _, _ = contribution_scores(nn.Sequential(*networks), [torch.ones(images, 1, *size)])
    return scores


def outer(values):
    values = torch.tensor(values, dtype=torch.float64)
    return values[:, None] * values[None, :]


def test_box_filters_have_the_powers_of_a_trinomial():
    # (1 + x + x^2)^2 and ^3, counted once for each of 2 images
    assert torch.equal(field_of(box_filters(2)), 2 * outer([0, 0, 1, 2, 3, 2, 1, 0, 0]))
    assert torch.equal(field_of(box_filters(3)), 2 * outer([0, 1, 3, 6, 7, 6, 3, 1, 0]))


def test_an_identity_sees_its_pixel():
    for size, centre in (((9, 9), (4, 4)), ((8, 6), (4, 3))):
        scores = field_of(nn.Identity(), size=size)
        assert scores.nonzero().tolist() == [list(centre)] and scores[centre] == 2
        assert square_side(scores, 0.99) == 1
        assert area_ratio(scores, 0.99) == pytest.approx(1 / (size[0] * size[1]))


def test_a_stride_widens_the_steps():
    # 16 -> 8 -> 4 positions; the centre 2 is 4 of the map before and 8 of the input
    scores, images, map_hw = contribution_scores(box_filters(2, 2), [torch.ones(3, 1, 16, 16)])
    line = [0] * 5 + [1, 1, 2, 1, 2, 1, 1] + [0] * 4
    assert (images, map_hw) == (3, (4, 4))
    assert torch.equal(scores, 3 * outer(line))


def test_negative_gradients_are_left_out_before_images_and_channels_are_added_up():
    network = nn.Conv2d(2, 2, 1, bias=False)
    network.weight.data = torch.tensor([[1.0, -3.0], [1.0, 2.0]])[..., None, None]
    scores, _, _ = contribution_scores(network, [torch.ones(1, 2, 3, 3)] * 2)
    assert scores[1, 1] == 2 * (2 + 0)  # channels of the input: 1 + 1, and -3 + 2


def test_an_image_counts_the_same_in_any_batch():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
    images = torch.randn(4, 3, 12, 12)
    whole = contribution_scores(network, [images])
    parts = contribution_scores(network, images.split([3, 1]))
    torch.testing.assert_close(parts[0], whole[0], rtol=1e-6, atol=0)
    assert parts[1] == whole[1] == 4
    assert all(parameter.grad is None for parameter in network.parameters())


def test_squares_hold_the_part_that_is_asked_for():
    scores = outer([0, 0, 1, 2, 3, 2, 1, 0, 0])  # squares hold 9, 49, 81 of 81
    sides = [square_side(scores, part) for part in (9 / 81, 0.12, 49 / 81, 0.61, 0.99, 1)]
    assert sides == [1, 3, 3, 5, 5, 5]
    assert area_ratio(scores, 0.99) == pytest.approx(25 / 81)
    with pytest.raises(ValueError, match=r'threshold must lie in \(0, 1\], got 20'):
        area_ratio(scores, 20)


def test_squares_end_at_the_edge_of_the_image():
    scores = torch.ones(4, 10)
    # 5 of 10 columns beside all 4 rows; the square around column 5 holds columns 3 to 7
    assert square_side(scores, 0.5) == 5 and area_ratio(scores, 0.5) == 0.5
    assert square_side(scores, 1) == 11 and area_ratio(scores, 1) == 1


def test_area_ratios_grow_with_the_threshold():
    scores = torch.rand(31, 40, generator=torch.Generator().manual_seed(0))
    ratios = [area_ratio(scores, part) for part in (0.2, 0.3, 0.5, 0.99)]
    assert all(less < more for less, more in pairwise(ratios))
    assert ratios[2] == pytest.approx(0.5, abs=0.05)  # of an even field


def test_the_last_map_is_taken_wherever_it_stands():
    first, last, tokens = torch.ones(1, 2, 4, 4), torch.ones(1, 8, 2, 2), torch.ones(1, 8)
    assert last_feature_map(last) is last
    assert last_feature_map((first, last)) is last
    assert last_feature_map([first, [last, tokens]]) is last
    message = r'feature map of shape \(N, C, H, W\), got \[\(1, 8\)\].*out_type=featmap'
    with pytest.raises(TypeError, match=message):
        last_feature_map((tokens,))


def test_what_has_no_field_is_refused():
    with pytest.raises(ValueError, match='at least one image, got none'):
        contribution_scores(nn.Identity(), [])
    with pytest.raises(ValueError, match='one size, got'):
        contribution_scores(nn.Identity(), [torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 5)])
    network = nn.Conv2d(1, 1, 1)
    nn.init.zeros_(network.weight)
    with pytest.raises(ValueError, match=r'not all 0, got a sum of 0\.0'):
        contribution_scores(network, [torch.ones(1, 1, 4, 4)])
    with pytest.raises(ValueError, match='under no_grad'):
        contribution_scores(torch.no_grad()(network.forward), [torch.ones(1, 1, 4, 4)])


FIELDS = [
    ReceptiveField('ct', None, 2, (9, 9), outer([0, 0, 1, 2, 3, 2, 1, 0, 0])),
    ReceptiveField('ct', (1, 1), 2, (9, 9), outer([0, 0, 0, 1, 1, 1, 0, 0, 0])),
]


def test_files_hold_each_field(tmp_path):
    write_csv(FIELDS, tmp_path / 'a.csv')
    with open(tmp_path / 'a.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [(row['depths'], row['images']) for row in rows] == [('whole', '2'), ('1,1', '2')]
    assert [float(row['r_99%']) for row in rows] == pytest.approx([25 / 81, 9 / 81])
    assert [int(row['side_20%']) for row in rows] == [3, 3]
    write_json(FIELDS, tmp_path / 'a.json')
    content = json.loads((tmp_path / 'a.json').read_text())
    assert [{name: str(value) for name, value in row.items()} for row in content] == rows


def test_each_field_is_a_heat_map_with_squares(tmp_path, saved_figures):
    plot_receptive_fields(FIELDS, tmp_path / 'a.png', 'title')
    whole, subnet, bar = saved_figures['a.png'].axes
    assert (whole.get_title(), subnet.get_title()) == ('ct', 'ct\n1,1')
    (image,) = whole.get_images()
    relative = [0.001, 0.001, 3, 6, 9, 6, 3, 0.001, 0.001]  # over the mean, which is 1
    assert image.get_array()[4].data.tolist() == pytest.approx(relative)
    assert (
        image.get_clim() == subnet.get_images()[0].get_clim() == pytest.approx((0.01, 9), rel=0.1)
    )
    squares = {line.get_label(): line.get_xydata().tolist() for line in subnet.get_lines()}
    assert squares['99% of the total'] == [[3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]
    assert whole.get_xlabel() == 'x (pixels)\nr at 20/30/50/99 %:\n11.1 / 11.1 / 11.1 / 30.9 %'
    assert bar.get_ylabel() == 'contribution / mean'
    assert cv2.imread(str(tmp_path / 'a.png')).std() > 1
