"""Properties of the pure functions, searched for counterexamples."""

import copy
import math
import random
import statistics

import pytest
import torch
from fuzzing import examples, own_error
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from mmst.core import (
    Block,
    DepthCost,
    DepthSpace,
    Subnet,
    active_subnet,
    isolated_norm,
    prune_to_subnet,
    recalibrate_norm,
    register_residual_stages,
    residual_stages,
    resize_batch,
    resize_padded_batch,
    sample_images,
    sample_size,
    scale_size,
    weight_factor,
)
from mmst.core.resize import lies_on_lattice, smallest_size, stack_size
from mmst.core.schedule import WEIGHT_SCHEDULES
from mmst.core.space import RULES

draws = st.fixed_dictionaries(
    {
        'seed': st.integers(0, 2**32 - 1),
        'step': st.integers(0, 10**6),
        'index': st.integers(0, 9),
    }
)


@st.composite
def spaces(draw, max_stages=5, max_blocks=6, rules=RULES):
    full = draw(st.lists(st.integers(1, max_blocks), min_size=1, max_size=max_stages))
    choices = draw(st.none() | st.tuples(*[st.integers(1, blocks) for blocks in full]))
    return DepthSpace(full, choices, draw(st.sampled_from(rules)))


# Spaces and draws


@examples(200)
@given(spaces(max_stages=8, max_blocks=60), draws)
def test_draw_lies_in_the_space_and_repeats(space, draw):
    subnet = space.sample(**draw)
    assert subnet == DepthSpace(space.full, space.choices, space.rule).sample(**draw)
    for candidate in (subnet, space.largest, space.smallest):
        assert candidate in space
        assert Subnet(candidate.depths, candidate.blocks, candidate.raw) == candidate
    for depth, kept, full, choices in zip(
        subnet.depths, subnet.blocks, space.full, space.choices, strict=True
    ):
        assert full - choices < depth <= full
        assert kept[0] == 0 and kept[-1] < full and len(kept) == depth
        assert space.rule != 'ordered' or kept == tuple(range(depth))


@examples(100)
@given(spaces(max_stages=3, max_blocks=4))
def test_space_is_the_set_of_its_subnets(space):
    subnets = list(space)
    assert len(subnets) == len(space) == len(set(subnets))
    assert all(subnet in space for subnet in subnets)
    assert {space.largest, space.smallest, space.sample(seed=0, step=0)} <= set(subnets)
    every = DepthSpace(space.full, rule='raw' if space.rule == 'raw' else 'stochastic')
    assert sum(subnet in space for subnet in every) == len(subnets)


@examples(100)
@given(spaces(max_stages=3, max_blocks=4), st.data())
def test_probabilities_and_cost_are_averages_over_the_space(space, data):
    """Depths are equally likely, and so are the subnets of one depth."""
    by_depth = {}
    for subnet in space:
        by_depth.setdefault(subnet.depths, []).append(subnet)

    def expected(value):
        return statistics.fmean(
            statistics.fmean(map(value, subnets)) for subnets in by_depth.values()
        )

    for stage, probabilities in enumerate(space.keep_probability()):
        for block, probability in enumerate(probabilities):
            share = expected(lambda subnet, s=stage, b=block: float(b in subnet.blocks[s]))
            assert probability == pytest.approx(share)
    flops = tuple(
        tuple(data.draw(st.lists(st.integers(0, 9), min_size=full, max_size=full)))
        for full in space.full
    )
    cost = DepthCost(data.draw(st.integers(1, 9)) + sum(map(sum, flops)), flops)
    assert cost.expected_ratio(space) == pytest.approx(expected(cost.ratio))
    assert 0 < cost.ratio(space.smallest) <= 1
    assert cost.ratio(space.largest) == 1


numbers = st.integers(-2, 5) | st.sampled_from([True, 1.0, 2.5, math.nan, None, 'a'])
rows = st.lists(st.integers(1, 3), min_size=1, max_size=3) | st.lists(numbers, max_size=3)
junk = numbers | rows | rows.map(tuple) | st.lists(rows, max_size=3)


@examples(300)
@given(junk, junk, st.sampled_from(RULES) | junk)
def test_space_is_built_or_refused_with_a_reason(full, choices, rule):
    try:
        space = DepthSpace(full, choices, rule)
    except (TypeError, ValueError) as error:
        assert own_error(error)
    else:
        assert space.sample(seed=0, step=0) in space


@examples(300)
@given(spaces(max_stages=3, max_blocks=4), draws, junk, st.integers(0, 3))
def test_subnet_is_built_or_refused_with_a_reason(space, draw, wrong, place):
    subnet = space.sample(**draw)
    depths, kept = list(subnet.depths), [list(stage) for stage in subnet.blocks]
    if place == 1:
        depths = wrong
    elif place == 2:
        kept = wrong
    elif place == 3:
        kept[0][-1] = wrong
    try:
        built = Subnet(depths, kept, subnet.raw)
    except (TypeError, ValueError) as error:
        assert place > 0 and own_error(error)
    else:
        assert place > 0 or built == subnet
        assert all(type(block) is int for stage in built.blocks for block in stage)
        rule = 'raw' if subnet.raw else 'stochastic'
        assert built in DepthSpace([1 + stage[-1] for stage in built.blocks], rule=rule)


@examples(200)
@given(
    st.integers(0, 64),
    st.floats(0, 1, exclude_min=True) | st.floats() | st.integers(-1, 2),
    draws,
)
def test_some_of_the_images_or_a_reason(count, fraction, draw):
    try:
        images = sample_images(count, fraction, **draw)
    except ValueError as error:
        assert own_error(error)
        assert count == 0 or not 0 < fraction <= 1
        return
    assert 0 < fraction <= 1
    assert images == sample_images(count, fraction, **draw)
    assert list(images) == sorted(set(images))
    assert 0 <= images[0] <= images[-1] < count
    assert len(images) == max(1, math.floor(fraction * count + 0.5))


@examples(200)
@given(st.sampled_from(WEIGHT_SCHEDULES), st.floats(0, 1), st.floats(0, 1))
def test_weight_factor_is_monotonic_between_0_and_1(schedule, first, second):
    earlier, later = (weight_factor(schedule, at) for at in sorted((first, second)))
    assert 0 <= earlier <= 1 and 0 <= later <= 1
    if schedule == 'constant':
        assert earlier == later == 1
    elif schedule == 'rising':
        assert earlier <= later and (weight_factor(schedule, 0), weight_factor(schedule, 1)) == (
            0,
            1,
        )
    else:
        assert earlier >= later and (weight_factor(schedule, 0), weight_factor(schedule, 1)) == (
            1,
            0,
        )
    falling = weight_factor('falling', first)
    assert weight_factor('rising', first) + falling == pytest.approx(1)


# Sizes and images

sides = st.integers(1, 12) | st.integers(1, 4000)
ratios = st.floats(0.001, 1) | st.sampled_from([0.43, 0.5, 1, 1.0])


@examples(300)
@given(st.tuples(sides, sides), ratios | st.floats(), st.integers(-1, 40), draws)
def test_size_is_a_smaller_one_of_the_same_shape_or_kept_or_refused(size_hw, ratio, divisor, draw):
    shorter, possible = min(size_hw), []
    valid = 0 < ratio <= 1 and divisor > 0
    if valid:
        smallest = max(1, int(ratio * shorter))
        possible = [side for side in range(smallest, shorter + 1) if side % divisor == 0]
    try:
        size = sample_size(size_hw, ratio, **draw, size_divisor=divisor)
    except ValueError as error:
        assert own_error(error)
        assert not valid
        return
    assert valid
    assert lies_on_lattice(size, divisor) == bool(possible)
    if not possible or int(ratio * shorter) < 1:
        with pytest.raises(ValueError, match='at least one pixel|size_divisor must have a'):
            smallest_size(size_hw, ratio, divisor)
    if not possible:
        assert size == size_hw
        return
    assert min(size) in possible
    assert size == sample_size(size_hw, ratio, **draw, size_divisor=divisor)
    assert all(1 <= new <= old for new, old in zip(size, size_hw, strict=True))
    assert max(size) == pytest.approx(max(size_hw) * min(size) / shorter, abs=0.5 + 1e-6)
    if int(ratio * shorter) >= 1:
        assert min(smallest_size(size_hw, ratio, divisor)) == possible[0]
    drawn = {
        min(sample_size(size_hw, ratio, seed=1, step=step, size_divisor=divisor))
        for step in range(40)
    }
    assert drawn <= set(possible)
    assert len(possible) > 3 or drawn == set(possible)


@examples(200)
@given(st.tuples(sides, sides), st.tuples(sides, sides), ratios, draws)
def test_batches_of_all_sizes_draw_nearly_the_same_ratio(one_hw, other_hw, ratio, draw):
    assume(int(ratio * min(*one_hw, *other_hw)) >= 1)
    one, other = (min(sample_size(hw, ratio, **draw)) / min(hw) for hw in (one_hw, other_hw))
    assert abs(one - other) < 2 / min(one_hw) + 2 / min(other_hw)


@examples(200)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=4), st.floats(0, 1))
def test_scaled_sizes_are_rounded_and_keep_their_order(sizes_hw, ratio):
    scaled = [scale_size(size, ratio) for size in sizes_hw]
    for size, new in zip(sizes_hw, scaled, strict=True):
        for old_side, side in zip(size, new, strict=True):
            assert 1 <= side <= old_side
            assert side == 1 or abs(side - old_side * ratio) <= 0.5 + 1e-6
    # So the images of a batch still fit into the scaled batch, and fill it.
    assert stack_size(scaled) == scale_size(stack_size(sizes_hw), ratio)


small = st.tuples(st.integers(1, 12), st.integers(1, 12)) | st.sampled_from([(1, 40), (40, 1)])


@examples(150)
@given(
    st.lists(st.tuples(small, small), min_size=1, max_size=3)
    | st.tuples(st.tuples(small, small), st.just(2)).map(lambda pair: [pair[0]] * pair[1]),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    st.floats(-5, 5, width=32),
    st.integers(0, 99),
)
def test_images_of_a_batch_are_resized_each_by_itself(sizes, margins, pad_value, seed):
    from_hws, to_hws = zip(*sizes, strict=True)
    (top, left), (new_top, new_left) = stack_size(from_hws), stack_size(to_hws)
    generator = torch.Generator().manual_seed(seed)
    shape = (len(sizes), 2, top + margins[0], left + margins[1])
    inputs = torch.full(shape, 1e9)  # padding that would be seen if it bled into an image
    for slot, (height, width) in zip(inputs, from_hws, strict=True):
        slot[:, :height, :width] = torch.randn(2, height, width, generator=generator)
    before = inputs.clone()
    padded_hw = new_top + margins[2], new_left + margins[3]
    result = resize_padded_batch(inputs, from_hws, to_hws, padded_hw, pad_value)
    assert torch.equal(inputs, before)
    assert result.shape == (len(sizes), 2, *padded_hw)
    for image, new, (height, width), (new_height, new_width) in zip(
        inputs, result, from_hws, to_hws, strict=True
    ):
        image, resized = image[:, :height, :width], new[:, :new_height, :new_width]
        alone = resize_batch(image[None].clone(), (new_height, new_width))[0]
        torch.testing.assert_close(resized, alone, atol=1e-5, rtol=1e-5)
        assert image.min() - 1e-5 <= resized.min() <= resized.max() <= image.max() + 1e-5
        assert (new[:, new_height:] == pad_value).all()
        assert (new[:, :, new_width:] == pad_value).all()


# Subnets of networks


class ToyBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.shortcut(x) + torch.tanh(self.norm(self.linear(x)))


class ToyNet(nn.Module):
    """A residual network of any number of stages and blocks, on vectors."""

    def __init__(self, full):
        super().__init__()
        self.stages = nn.ModuleList()
        for number, blocks in enumerate(full):
            widths = [2 + number, *[3 + number] * blocks]
            self.stages.append(
                nn.Sequential(*map(ToyBlock, widths[:-1], widths[1:])),
            )

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


@register_residual_stages(ToyNet)
def toy_stages(net):
    return [[Block(stage, name) for name, _ in stage.named_children()] for stage in net.stages]


@st.composite
def nets(draw):
    """A network in any state: modes, frozen parameters, momenta and statistics differ."""
    space = draw(spaces(max_stages=4, max_blocks=4, rules=('ordered', 'stochastic')))
    seed = draw(st.integers(0, 999))
    torch.manual_seed(seed)
    chance = random.Random(seed)
    net = ToyNet(space.full)
    share = chance.choice([0, 0.5, 1])
    for module in net.modules():
        module.training = chance.random() < share
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = chance.choice([0.1, None])
            module.running_mean.normal_()
    for parameter in net.parameters():
        parameter.requires_grad = chance.random() < 0.7
    return net, space


def norms(net):
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]


def state(net):
    """All that a context must restore, the identity of modules and tensors included."""
    return {
        'modules': [(name, id(module)) for name, module in net.named_modules()],
        'tensors': [(name, id(value)) for name, value in net.state_dict(keep_vars=True).items()],
        'values': {name: repr(value.tolist()) for name, value in net.state_dict().items()},
        'modes': [module.training for module in net.modules()],
        'grads': [parameter.requires_grad for parameter in net.parameters()],
        'norms': [(norm.momentum, norm.track_running_stats) for norm in norms(net)],
    }


def kept_alone(net, subnet, x):
    """Calls the kept blocks one after another."""
    for stage, kept in zip(net.stages, subnet.blocks, strict=True):
        for block in kept:
            x = stage[block](x)
    return x


inputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))


@examples(150)
@given(nets(), draws, st.booleans())
def test_subnet_runs_its_blocks_alone_and_everything_is_restored(pair, draw, fail):
    net, space = pair
    subnet, inner = space.sample(**draw), space.sample(**{**draw, 'index': 10})
    before = state(net)
    with isolated_norm(net):
        expected, whole = kept_alone(net, subnet, inputs), net(inputs)
    assert state(net) == before
    with isolated_norm(net), active_subnet(net, space.largest):
        assert torch.equal(net(inputs), whole)
    try:
        with active_subnet(net, subnet), isolated_norm(net):
            outputs = net(inputs)
            with isolated_norm(net), active_subnet(net, inner):
                net(inputs)
            if outputs.requires_grad:
                outputs.sum().backward()
            if fail:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fail
    assert state(net) == before
    assert torch.equal(outputs, expected)
    for stage, kept in zip(net.stages, subnet.blocks, strict=True):
        for index, block in enumerate(stage):
            has_gradient = [parameter.grad is not None for parameter in block.parameters()]
            assert has_gradient == [p.requires_grad and index in kept for p in block.parameters()]
    # What must not move here does move elsewhere.
    net(inputs)
    assert (state(net) != before) == any(norm.training for norm in norms(net))


@examples(100)
@given(nets(), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_depths_fit_the_network_or_are_refused_before_anything_changes(pair, depths):
    net, space = pair
    before = state(net)
    fits = len(depths) == len(space.full) and all(map(int.__le__, depths, space.full))
    pruned = copy.deepcopy(net)
    if not fits:
        for refuse in (active_subnet(net, depths).__enter__, lambda: prune_to_subnet(net, depths)):
            with pytest.raises(ValueError) as caught:
                refuse()
            assert own_error(caught.value)
        assert state(net) == before
        return
    prune_to_subnet(pruned, depths)
    assert tuple(len(stage) for stage in residual_stages(pruned)) == tuple(depths)
    with active_subnet(net, depths), isolated_norm(net), isolated_norm(pruned):
        assert torch.equal(net(inputs), pruned(inputs))
    assert state(net) == before


@examples(100)
@given(nets(), draws, st.integers(0, 3), st.booleans())
def test_recalibrated_statistics_are_averages_and_are_put_back(pair, draw, count, fail):
    net, space = pair
    before = state(net)
    batches = [inputs + shift for shift in range(count)]
    first = net.stages[0][0]
    try:
        with active_subnet(net, space.sample(**draw)), recalibrate_norm(net, batches):
            means = torch.stack([first.linear(batch).mean(0) for batch in batches])
            torch.testing.assert_close(first.norm.running_mean, means.mean(0))
            assert not any(norm.training for norm in norms(net))
            if fail:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fail
    except ValueError as error:
        assert count == 0 and own_error(error)
    else:
        assert count > 0 and not fail
    assert state(net) == before
