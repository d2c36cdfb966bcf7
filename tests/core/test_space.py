"""Spaces are pure data: these tests compare draws, enumerations and memberships by value."""

from collections import Counter

import pytest

from mmst.core import DepthSpace, Subnet

RESNET50 = (3, 4, 6, 3)


def test_inter_stage_rule_enumerates_the_last_choices_of_each_stage():
    space = DepthSpace(RESNET50, choices=(1, 2, 4, 1))
    depths = [subnet.depths for subnet in space]
    assert depths == [(3, d2, d3, 3) for d2 in (3, 4) for d3 in (3, 4, 5, 6)]
    assert len(space) == 8
    assert space.smallest == Subnet((3, 3, 3, 3))
    assert space.largest == Subnet(RESNET50)


def test_choices_default_to_every_depth():
    assert DepthSpace(RESNET50) == DepthSpace(RESNET50, RESNET50)
    assert len(DepthSpace(RESNET50)) == 3 * 4 * 6 * 3


@pytest.mark.parametrize(
    ('name', 'choices'),  # ST++ Table II
    [
        ('space1', (2, 3, 6, 3)),
        ('space2', (2, 3, 5, 2)),
        ('space3', (1, 2, 4, 1)),
        ('space4', (1, 2, 5, 2)),
        ('space5', (1, 2, 4, 2)),
    ],
)
def test_spaces_of_the_paper_have_names(name, choices):
    assert DepthSpace(RESNET50, name) == DepthSpace(RESNET50, choices)
    with pytest.raises(ValueError, match=r'is for the stages \(3, 4, 6, 3\) of ResNet-50, got'):
        DepthSpace((3, 4, 23, 3), name)


@pytest.mark.parametrize(
    ('full', 'choices'),
    [
        ((3, 4, 6, 3), (1, 2, 4, 1)),  # ResNet-50: space3 of ST++ Table II
        ((3, 4, 23, 3), (1, 2, 21, 1)),  # ResNet-101
        ((2, 2, 6, 2), (1, 1, 4, 1)),  # Swin-T
        ((3, 3, 9, 3), (1, 1, 7, 1)),  # ConvNeXt-T
        ((1, 2, 2, 3, 3, 4, 1), (1, 1, 1, 1, 1, 2, 1)),  # EfficientNet-B0
        ((4,) * 27, (2,) * 27),  # HRNet
        ((12,), (7,)),  # ViT-B: 6 to 12 layers
        ((24,), (13,)),  # ViT-L
        ((5,), (3,)),  # three of five are more than half
        ((2, 2, 2, 2), (2, 2, 2, 2)),  # ResNet-18, MiT-B0
        ((3, 3, 2), (2, 2, 1)),  # only the longest stages lose blocks
        ((1, 1), (1, 1)),  # nothing can be skipped
    ],
)
def test_inter_stage_choices_keep_the_first_three_blocks(full, choices):
    space = DepthSpace(full, 'inter_stage')
    assert space.choices == choices
    assert space == DepthSpace(full, choices)


def test_raw_space_is_the_stochastic_one_without_shortcuts():
    raw, stochastic = (DepthSpace((3, 2), rule=rule) for rule in ('raw', 'stochastic'))
    assert [subnet.blocks for subnet in raw] == [subnet.blocks for subnet in stochastic]
    assert all(subnet.raw and subnet in raw and subnet not in stochastic for subnet in raw)
    assert repr(raw.smallest) == 'Subnet(depths=(1, 1), raw=True)'


def test_stochastic_space_enumerates_each_subset_that_keeps_the_first_block():
    space = DepthSpace((3, 2), rule='stochastic')
    kept = {subnet.blocks for subnet in space}
    first = [(0,), (0, 1), (0, 2), (0, 1, 2)]
    assert kept == {(a, b) for a in first for b in [(0,), (0, 1)]}
    assert len(space) == len(kept) == 8


def test_size_of_a_deep_space_is_exact():
    """ResNeSt-269 has more subnets than len() can tell."""
    space = DepthSpace((3, 30, 48, 8), rule='stochastic')
    assert space.size == 2**85
    assert space.sample(seed=0, step=0) in space
    assert DepthSpace(RESNET50).size == len(DepthSpace(RESNET50)) == 3 * 4 * 6 * 3


@pytest.mark.parametrize('rule', ['ordered', 'stochastic', 'raw'])
def test_draws_are_uniform_members(rule):
    space = DepthSpace((3, 4), (1, 3), rule)
    draws = [space.sample(seed=3, step=step) for step in range(3000)]
    assert all(subnet in space for subnet in draws)
    assert set(draws) == set(space)
    counts = Counter(subnet.depths[1] for subnet in draws)
    assert set(counts) == {2, 3, 4}
    assert all(abs(count / 3000 - 1 / 3) < 0.04 for count in counts.values())


def test_draws_depend_only_on_seed_step_and_index():
    space = DepthSpace(RESNET50)
    draw = {'seed': 0, 'step': 1234, 'index': 1}
    assert space.sample(**draw) == space.sample(**draw)
    for name in draw:
        others = {space.sample(**{**draw, name: value}) for value in range(20)}
        assert len(others) > 5, f'{name} does not change the draw'


def test_draws_are_the_same_in_every_version():
    """A resumed run must draw what the interrupted one would have drawn."""
    space = DepthSpace(RESNET50, (1, 2, 4, 1))
    drawn = [space.sample(seed=0, step=step).depths for step in range(4)]
    assert drawn == [(3, 4, 3, 3), (3, 3, 6, 3), (3, 4, 5, 3), (3, 4, 3, 3)]


@pytest.mark.parametrize('rule', ['ordered', 'stochastic'])
def test_keep_probability_is_the_frequency_over_draws(rule):
    space = DepthSpace((3, 4), (2, 3), rule)
    draws = [space.sample(seed=1, step=step) for step in range(4000)]
    for stage, probabilities in enumerate(space.keep_probability()):
        for block, probability in enumerate(probabilities):
            frequency = sum(block in subnet.blocks[stage] for subnet in draws) / 4000
            assert frequency == pytest.approx(probability, abs=0.03)


def test_membership():
    ordered, stochastic = DepthSpace((3, 4), (1, 3)), DepthSpace((3, 4), (1, 3), 'stochastic')
    assert Subnet((3, 2)) in ordered
    assert Subnet((2, 4)) not in ordered
    assert Subnet((3, 1)) not in ordered
    assert Subnet((3,)) not in ordered
    assert (3, 2) not in ordered
    gap = Subnet((3, 2), ((0, 1, 2), (0, 3)))
    assert gap not in ordered
    assert gap in stochastic
    assert Subnet((3, 2), ((0, 1, 2), (0, 4))) not in stochastic


def test_ordered_subnets_are_equal_however_they_are_written():
    assert Subnet((2, 1), ((0, 1), (0,))) == Subnet((2, 1))
    assert repr(Subnet((3, 3, 4, 3))) == 'Subnet(depths=(3, 3, 4, 3))'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'choices': (1, 2, 4)}, 'choices must have one number per stage: got 3 numbers'),
        ({'choices': (1, 2, 4, 1, 1)}, 'choices must have one number per stage: got 5 numbers'),
        ({'choices': (1, 0, 4, 1)}, r'choices must be one positive integer.*got \(1, 0, 4, 1\)'),
        ({'choices': (1, 5, 4, 1)}, 'choices of stage 2 must be at most its 4 blocks, got 5'),
        ({'choices': (1, 2.0, 4, 1)}, 'choices must be one positive integer'),
        ({'choices': (True, 2, 4, 1)}, 'choices must be one positive integer'),
        ({'choices': 2}, 'choices must be one positive integer per stage, got 2'),
        ({'choices': 'space6'}, "choices must be .* one of .*'space5'.*got 'space6'"),
        ({'rule': 'random'}, "rule must be one of .*got 'random'"),
    ],
)
def test_wrong_space_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DepthSpace(RESNET50, **arguments)


@pytest.mark.parametrize(
    ('depths', 'kept', 'message'),
    [
        ((0, 1), None, 'depths must be one positive integer per stage, got .0, 1.'),
        ((), None, 'depths must be one positive integer'),
        ((2.7, 1), None, 'depths must be one positive integer'),
        (2, None, 'depths must be one positive integer'),
        ((2, 1), ((0, 2), (1,)), 'kept must list'),
        ((2, 1), ((2, 0), (0,)), 'kept must list'),
        ((2, 1), ((0, 1),), 'kept must list'),
        ((2,), 2, 'kept must list.*got kept=2 with'),
        ((2,), (0, 1), r'kept must list.*got kept=\(0, 1\)'),
        ((2,), ((0, 1.5),), 'kept must list'),
        ((2,), ((0, 'b'),), 'kept must list'),
    ],
)
def test_wrong_subnet_is_refused(depths, kept, message):
    with pytest.raises(ValueError, match=message):
        Subnet(depths, kept)
