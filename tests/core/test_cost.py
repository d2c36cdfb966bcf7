"""Counted FLOPs are those of the rebuilt network."""

import pytest
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from toy_resnet import ResNet

from mmst.core import DepthSpace, Subnet, active_subnet, depth_cost


def count(model, images):
    with FlopCounterMode(display=False) as counter:
        model(images)
    return counter.get_total_flops()


def test_ratio_is_that_of_counted_networks(resnet, images):
    cost = depth_cost(resnet, (64, 64))
    full = count(resnet, images[:1])
    assert cost.total == full
    subnet = Subnet((1, 2, 1, 1))
    with active_subnet(resnet, subnet):
        assert cost.ratio(subnet) == pytest.approx(count(resnet, images[:1]) / full)


def test_expected_ratio_is_the_mean_over_the_space():
    cost = depth_cost(ResNet((3, 4, 6, 3)))
    for space in (
        DepthSpace((3, 4, 6, 3), (1, 2, 4, 1)),
        DepthSpace((3, 4, 6, 3), (2, 2, 2, 1), 'stochastic'),
    ):
        draws = [cost.ratio(space.sample(seed=0, step=step)) for step in range(3000)]
        assert cost.expected_ratio(space) == pytest.approx(sum(draws) / 3000, abs=0.005)


def test_counting_changes_nothing(resnet):
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    depth_cost(resnet)
    assert resnet.training
    assert all((before[name] == value).all() for name, value in resnet.state_dict().items())


class Changing(nn.Module):
    """A block that does not say what it does to its input."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(x)


@pytest.mark.parametrize(
    ('change', 'got'),
    [
        (lambda x: x[..., ::2, ::2], r'\(1, 32, 16, 16\), returned \(1, 32, 8, 8\)'),
        (lambda x: (x, x), r'\(1, 32, 16, 16\), returned \(\(1, 32, 16, 16\), \(1,'),
    ],
)
def test_block_that_changes_its_input_is_found(resnet, change, got):
    resnet.layer1[1] = Changing(change)
    with pytest.raises(ValueError, match=rf"block 'layer1\.1' must keep the shape .* got {got}"):
        depth_cost(resnet, (64, 64))
    resnet.layer1[1] = Changing(lambda x: x + 1)
    depth_cost(resnet, (64, 64))


def test_wrapped_forward_of_a_block_is_not_run(resnet):
    """mmengine's activation checkpointing replaces the forward by a closure over the module."""
    expected = depth_cost(resnet)
    calls = []
    forward = resnet.layer1.forward
    resnet.layer1.forward = lambda *args: calls.append(1) or forward(*args)
    assert depth_cost(resnet) == expected
    assert not calls
