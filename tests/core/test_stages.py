"""Users register their own backbones; what cannot be skipped is refused."""

import pytest
import torch
from torch import nn

from mmst.core import Block, active_subnet, register_residual_stages, residual_stages


class Residual(nn.Module):
    def __init__(self, downsample=None):
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.downsample = downsample

    def forward(self, x):
        return x + self.body(x)


class Tower(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class TallTower(Tower):
    pass


@register_residual_stages(Tower)
def tower_stages(backbone):
    return [[Block(backbone.blocks, name) for name, _ in backbone.blocks.named_children()]]


def test_registered_class_and_its_subclasses_can_skip():
    tower = TallTower(Residual(), Residual(), Residual())
    x = torch.randn(2, 3)
    with active_subnet(tower, (1,)):
        assert torch.equal(tower(x), tower.blocks[0](x))


def test_block_that_changes_shape_is_refused():
    with pytest.raises(ValueError, match='block 1 of stage 1 of Tower must be skippable'):
        residual_stages(Tower(Residual(), Residual(nn.Linear(3, 3))))


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('use_res_connect', False, 'has no shortcut'),
        ('with_res_shortcut', False, 'has no shortcut'),
        ('with_residual', False, 'has no shortcut'),
        ('apply_residual', False, 'has no shortcut'),
        ('has_skip', False, 'has no shortcut'),
        ('stride', 2, 'has stride 2'),
        ('stride', (1, 2), r'has stride \(1, 2\)'),
        ('out_channels', 5, 'has 3 input and 5 output channels'),
    ],
)
def test_block_that_says_so_is_refused(name, value, message):
    block = Residual()
    block.in_channels, block.out_channels, block.stride, block.use_res_connect = 3, 3, (1, 1), True
    assert len(residual_stages(Tower(Residual(), block))[0]) == 2
    setattr(block, name, value)
    with pytest.raises(ValueError, match=f'block 1 of stage 1 of Tower .* {message}: it changes'):
        residual_stages(Tower(Residual(), block))


def test_downsample_branch_that_is_the_identity_is_none():
    tower = Tower(Residual(nn.Linear(3, 3)), Residual(nn.Identity()))
    assert len(residual_stages(tower)[0]) == 2


def test_backbone_without_blocks_is_refused():
    with pytest.raises(ValueError, match='Tower must have at least one residual block'):
        residual_stages(Tower())
