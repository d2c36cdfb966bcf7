"""Draws are a function of seed, iteration and subnet, and stay what they were."""

import random

from mmst.core import DepthSpace, Draw, Subnet, sample_images, sample_size


def test_draws_are_those_of_earlier_versions():
    """A run that is resumed with a later version draws what it would have drawn."""
    draw = Draw(seed=7, step=1234, index=2)
    assert DepthSpace((3, 4, 23, 3)).sample(**vars(draw)) == Subnet((2, 3, 12, 2))
    kept = ((0, 1), (0, 1, 3), (0, 4, 5), (0, 2))
    stochastic = DepthSpace((3, 4, 6, 3), rule='stochastic')
    assert stochastic.sample(**vars(draw)) == Subnet((2, 3, 3, 2), kept)
    assert sample_size((480, 640), **vars(draw)) == (288, 384)
    assert sample_images(16, 0.25, **vars(draw)) == (5, 8, 10, 15)


def test_each_choice_has_a_generator_of_its_own():
    draw = Draw(1, 2)
    assert draw == Draw(seed=1, step=2, index=0)
    assert draw.key('pass') == 'mmst.pass:1:2:0'
    first = draw.generator('flip').random()
    assert draw.generator('flip').random() == first == random.Random('mmst.flip:1:2:0').random()
    assert draw.generator('crop').random() != first
