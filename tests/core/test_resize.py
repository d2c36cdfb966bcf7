"""Sizes are drawn as the paper says and images resized one by one."""

import pytest
import torch

from mmst.core import resize_batch, resize_padded_batch, sample_size, scale_size
from mmst.core.resize import largest_size, lies_on_lattice, smallest_size


def test_shorter_side_is_a_uniform_integer_between_the_bounds():
    sizes = [sample_size((200, 300), 0.43, seed=0, step=step) for step in range(5000)]
    shorter = [height for height, _ in sizes]
    assert min(shorter) == 86 and max(shorter) == 200
    assert len(set(shorter)) == 115
    assert sum(shorter) / 5000 == pytest.approx(143, abs=2)
    assert all(abs(width - 1.5 * height) <= 0.5 for height, width in sizes)


def test_draw_depends_only_on_its_arguments():
    draw = {'seed': 5, 'step': 7, 'index': 1}
    assert sample_size((800, 1333), **draw) == sample_size((800, 1333), **draw)
    assert sample_size((800, 1333), **draw) != sample_size((800, 1333), seed=5, step=7, index=0)
    assert [min(sample_size((800, 1333), seed=0, step=s)) for s in range(3)] == [781, 512, 799]


def test_ratio_of_one_keeps_the_size():
    assert {sample_size((7, 9), 1.0, seed=0, step=step) for step in range(50)} == {(7, 9)}


@pytest.mark.parametrize('ratio', [0, -0.1, 1.01, '0.5', None])
def test_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=rf'min_ratio must be in \(0, 1\], got {ratio!r}'):
        sample_size((10, 10), ratio, seed=0, step=0)


def test_size_that_rounds_to_nothing_is_refused():
    with pytest.raises(ValueError, match='at least one pixel, got 0.43 . 2 for an input of'):
        smallest_size((2, 50), 0.43)
    # But not in the middle of a run.
    assert {sample_size((2, 50), 0.43, seed=0, step=s) for s in range(20)} == {(1, 25), (2, 50)}


def test_no_side_of_an_image_vanishes():
    assert scale_size((1, 50), 0.43) == (1, 22)
    assert scale_size((101, 50), 0.5) == (51, 25)


def test_batches_of_different_sizes_draw_the_same_ratio():
    """Ranks see other images in the same iteration, and must be busy for equally long."""
    for step in range(200):
        ratios = [
            min(sample_size(size, seed=0, step=step)) / min(size)
            for size in [(800, 1333), (1333, 1333), (640, 960), (1024, 1024)]
        ]
        assert max(ratios) - min(ratios) < 0.005


def test_smallest_size_is_the_smallest_drawn():
    sizes = {sample_size((20, 30), 0.43, seed=0, step=step) for step in range(500)}
    assert min(sizes) == smallest_size((20, 30), 0.43) == (8, 12)


def test_resize_to_the_same_size_copies_nothing(images):
    assert resize_batch(images, (64, 64)) is images


@pytest.mark.parametrize(
    ('inputs', 'size', 'message'),
    [
        (torch.ones(3, 4, 4), (2, 2), r'inputs must be a float tensor.*\(3, 4, 4\)'),
        (torch.ones(1, 3, 4, 4, dtype=torch.uint8), (2, 2), 'inputs must be a float tensor'),
        (torch.ones(1, 3, 4, 4), (0, 2), r'size_hw must be at least one pixel.*\(0, 2\)'),
    ],
)
def test_wrong_input_is_refused(inputs, size, message):
    with pytest.raises(ValueError, match=message):
        resize_batch(inputs, size)


@pytest.mark.parametrize('sizes', [[(40, 64), (64, 48)], [(40, 56), (40, 56)]])
def test_padding_does_not_bleed_into_images(sizes):
    padded = torch.full((2, 3, 64, 64), 100.0)
    alone = [torch.randn(1, 3, *size) for size in sizes]
    for slot, image in zip(padded, alone, strict=True):
        slot[:, : image.shape[2], : image.shape[3]] = image[0]
    to_hws = [scale_size(size, 0.5) for size in sizes]
    result = resize_padded_batch(padded, sizes, to_hws, (32, 40), pad_value=7.0)
    assert result.shape == (2, 3, 32, 40)
    for slot, image, (height, width) in zip(result, alone, to_hws, strict=True):
        assert torch.equal(slot[:, :height, :width], resize_batch(image, (height, width))[0])
        assert (slot[:, height:] == 7).all() and (slot[:, :, width:] == 7).all()


def test_sizes_on_a_lattice_are_uniform_multiples():
    draws = [sample_size((100, 150), 0.43, seed=0, step=s, size_divisor=16) for s in range(800)]
    counts = {side: sum(draw[0] == side for draw in draws) for side in (48, 64, 80, 96)}
    assert sum(counts.values()) == 800
    assert all(count == pytest.approx(200, abs=50) for count in counts.values())
    assert all(width == int(1.5 * height + 0.5) for height, width in draws)
    assert smallest_size((100, 150), 0.43, 16) == (48, 72)


def test_lattice_of_every_pixel_is_the_plain_draw():
    for step in range(50):
        draw = {'seed': 3, 'step': step, 'index': 1}
        assert sample_size((60, 80), **draw) == sample_size((60, 80), **draw, size_divisor=1)


def test_lattice_without_a_multiple_is_refused():
    with pytest.raises(
        ValueError, match='size_divisor must have a multiple .* got 64 for .* 43 to'
    ):
        smallest_size((50, 50), 0.86, 64)


def test_input_without_a_multiple_keeps_its_size():
    """Whatever the others of its run: an unusual batch must not end it."""
    for size in [(50, 70), (63, 40), (30, 31)]:
        drawn = {sample_size(size, 0.86, seed=0, step=s, size_divisor=64) for s in range(20)}
        assert drawn == {size}
        assert not lies_on_lattice(size, 64)
    drawn = {sample_size((50, 70), 0.5, seed=0, step=s, size_divisor=16) for s in range(50)}
    assert drawn == {(32, 45), (48, 67)}
    assert all(lies_on_lattice(size, 16) for size in drawn)


def test_larger_sizes_are_drawn_up_to_the_largest():
    bounds = {'min_ratio': 1.0, 'max_ratio': 1.15}
    sides = [min(sample_size((200, 300), **bounds, seed=0, step=step)) for step in range(2000)]
    assert (min(sides), max(sides), len(set(sides))) == (200, 230, 31)
    assert smallest_size((200, 300), **bounds) == (200, 300)
    assert largest_size((200, 300), **bounds) == (230, 345)
    assert largest_size((200, 300), size_divisor=32, **bounds) == (224, 336)
    assert largest_size((200, 300), 0.43) == (200, 300)
    for ratio in (0.9, float('inf'), float('nan'), '2'):
        with pytest.raises(
            ValueError, match='max_ratio must be a finite number of at least 1, got'
        ):
            sample_size((10, 10), 0.5, max_ratio=ratio, seed=0, step=0)
