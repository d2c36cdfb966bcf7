"""Blocks that are refused as no residual ones: without their branch they are not the identity."""

import importlib

import pytest
import torch

BLOCKS = {  # -> arguments, and the input
    'mmpose.models.backbones.litehrnet.ConditionalChannelWeighting': (
        {'in_channels': [16, 32], 'stride': 1, 'reduce_ratio': 4},
        lambda: [torch.rand(1, 16, 8, 8), torch.rand(1, 32, 4, 4)],
    ),
    'mmpose.models.backbones.litehrnet.ShuffleUnit': (
        {'in_channels': 16, 'out_channels': 16},
        lambda: torch.rand(1, 16, 8, 8),
    ),
    'mmpretrain.models.backbones.shufflenet_v2.InvertedResidual': (
        {'in_channels': 16, 'out_channels': 16},
        lambda: torch.rand(1, 16, 8, 8),
    ),
    'mmseg.models.backbones.stdc.STDCModule': (
        {'in_channels': 16, 'out_channels': 16, 'stride': 1, 'fusion_type': 'cat'},
        lambda: torch.rand(1, 16, 8, 8),
    ),
}


@pytest.mark.parametrize('name', BLOCKS)
@torch.no_grad()
def test_block_without_branch_is_not_the_identity(name):
    pytest.importorskip(name.partition('.')[0])
    module, _, cls = name.rpartition('.')
    arguments, images = BLOCKS[name]
    block = getattr(importlib.import_module(module), cls)(**arguments).eval()
    for parameter in block.parameters():
        parameter.zero_()
    inputs = images()
    inputs = inputs if isinstance(inputs, list) else [inputs]
    outputs = block(inputs if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert [o.shape for o in outputs] == [i.shape for i in inputs]  # a skip would go unnoticed
    assert not any(map(torch.equal, outputs, inputs))
    assert all((output == 0).flatten(2).all(2).any() for output in outputs)  # whole channels
