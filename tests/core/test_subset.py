"""Draws of a part of a batch."""

from collections import Counter

import pytest

from mmst.core import sample_images


@pytest.mark.parametrize(
    ('count', 'fraction', 'size'), [(8, 0.5, 4), (5, 0.5, 3), (2, 0.1, 1), (1, 0.5, 1), (3, 1, 3)]
)
def test_number_of_images(count, fraction, size):
    images = sample_images(count, fraction, seed=0, step=3)
    assert len(set(images)) == size
    assert list(images) == sorted(images)
    assert set(images) <= set(range(count))


def test_draws_are_uniform_and_depend_on_the_arguments_only():
    draws = [sample_images(4, 0.5, seed=1, step=step, index=2) for step in range(1200)]
    assert draws[:20] == [sample_images(4, 0.5, seed=1, step=s, index=2) for s in range(20)]
    counts = Counter(image for images in draws for image in images)
    assert all(count == pytest.approx(600, abs=80) for count in counts.values())
    assert len({sample_images(100, 0.5, seed=s, step=0) for s in range(5)}) == 5


def test_fraction_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r'batch_fraction must be in \(0, 1\], got 0'):
        sample_images(4, 0, seed=0, step=0)


def test_batch_without_images_is_refused():
    with pytest.raises(ValueError, match='count must be at least one image to draw from, got 0'):
        sample_images(0, 0.5, seed=0, step=0)
