"""The cost that a run announces is that of the subnets it can draw."""

import pytest
from torch import nn

from mmst.core import DepthCost, DepthSpace
from mmst.engine import RandomSmallerInput
from mmst.engine.expected_cost import ExpectedCost
from mmst.engine.schedule import Schedule
from mmst.engine.settings import StimulativeSettings
from mmst.engine.summary import summarize

SPACE = DepthSpace(full=(2,), choices=(2,))
COST = DepthCost(total=100, blocks=((50, 40),))
SETTINGS = StimulativeSettings(
    supervision={'type': 'mmst.GroundTruthSupervision'}, num_subnets=3, batch_fraction=0.5
)


def test_cost_is_that_of_depth_size_and_images():
    """The second block runs in every other subnet; sides are uniform from a half to one."""
    cost = ExpectedCost.of(SETTINGS, SPACE, COST, RandomSmallerInput(min_ratio=0.5))
    assert cost.batches == 1.5
    assert cost.depth == pytest.approx(0.8)
    assert cost.area == pytest.approx(7 / 12)
    assert cost.passes == pytest.approx(1.5 * 0.8 * 7 / 12)
    assert ExpectedCost.of(SETTINGS, SPACE, COST, None).passes == pytest.approx(1.5 * 0.8)


def test_the_summary_says_the_cost():
    backbone = nn.Identity()
    backbone.depth_space = SPACE
    schedule = Schedule(SETTINGS, first_iter=0, max_iters=10)
    inputs = RandomSmallerInput(min_ratio=0.5)
    text = summarize(schedule, backbone, COST, inputs, 'ground truth')
    assert "extra cost   0.70 x the backbone's main pass per stimulated iteration" in text
    assert '(1.5 x 0.80 for depth x 0.58 for input size)' in text
    assert 'extra cost   unknown' in summarize(schedule, backbone, None, inputs, 'ground truth')
