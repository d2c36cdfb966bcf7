"""FLOPs are counted at a size that the backbone takes; a block that cannot be skipped is found."""

import logging

import pytest
from torch import nn

from mmst.core import Block, register_residual_stages
from mmst.core.cost import depth_cost
from mmst.engine.summary import count_depth_cost


class Fixed(nn.Module):
    """Takes images of one size only."""

    def __init__(self, size, *blocks):
        super().__init__()
        self.size = size
        self.blocks = nn.Sequential(nn.Conv2d(3, 3, 1), *blocks)

    def forward(self, x):
        assert x.shape[-1] == self.size, f'takes {self.size} pixels'
        return self.blocks(x)


@register_residual_stages(Fixed)
def fixed_stages(backbone):
    return [[Block(backbone.blocks, name) for name, _ in backbone.blocks.named_children()]]


def test_cost_is_counted_at_a_size_that_the_backbone_takes(caplog):
    backbone = Fixed(224, nn.Conv2d(3, 3, 1))
    assert count_depth_cost(backbone, logging.getLogger()) == depth_cost(backbone, (224, 224))
    assert not caplog.records


def test_cost_that_cannot_be_counted_is_a_warning(caplog):
    assert count_depth_cost(Fixed(96), logging.getLogger()) is None
    assert 'cannot be counted: AssertionError: takes 96 pixels' in caplog.text


def test_block_that_cannot_be_skipped_is_an_error():
    with pytest.raises(ValueError, match=r"block 'blocks\.1' must keep the shape of its input"):
        count_depth_cost(Fixed(128, nn.Flatten()), logging.getLogger())
