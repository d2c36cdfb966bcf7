"""A subnet is the network rebuilt without the skipped blocks, and leaves no trace."""

import copy

import pytest
import torch
from torch import nn
from toy_resnet import ResNet

from mmst.core import (
    Block,
    Subnet,
    active_subnet,
    prune_to_subnet,
    register_residual_stages,
    residual_stages,
)

FULL = (2, 3, 2, 1)


def test_full_depth_is_the_untouched_model(resnet, images):
    resnet.eval()
    expected = resnet(images)
    with active_subnet(resnet, FULL):
        assert torch.equal(resnet(images), expected)


@pytest.mark.parametrize('depths', [(1, 1, 1, 1), (2, 2, 1, 1)])
def test_subnet_is_a_network_rebuilt_with_that_depth(resnet, images, depths):
    rebuilt = ResNet(depths)
    unexpected = rebuilt.load_state_dict(resnet.state_dict(), strict=False)
    assert not unexpected.missing_keys
    resnet.eval(), rebuilt.eval()
    with active_subnet(resnet, depths):
        outputs = resnet(images)
    assert torch.equal(outputs, rebuilt(images))
    assert not torch.equal(outputs, resnet(images))


def test_stochastic_subnet_runs_exactly_the_kept_blocks(resnet, images):
    resnet.eval()
    stage = resnet.layer2
    inputs = torch.randn(1, 32, 16, 16)
    with active_subnet(resnet, Subnet((2, 2, 2, 1), ((0, 1), (0, 2), (0, 1), (0,)))):
        outputs = stage(inputs)
    assert torch.equal(outputs, stage[2](stage[0](inputs)))


def test_skipped_blocks_get_no_gradient_and_all_others_do(resnet, images):
    with active_subnet(resnet, (1, 2, 1, 1)):
        resnet(images).sum().backward()
    skipped = ('layer1.1.', 'layer2.2.', 'layer3.1.')
    seen = 0
    for name, parameter in resnet.named_parameters():
        if name.startswith(skipped):
            seen += 1
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert seen > 0


def test_everything_is_as_before_after_an_exception(resnet):
    modules = dict(resnet.named_modules())
    keys = list(resnet.state_dict())
    with pytest.raises(RuntimeError, match='inside'), active_subnet(resnet, (1, 1, 1, 1)):
        skipped = {n for n, m in resnet.named_modules() if type(m).__name__ == 'Skip'}
        assert skipped == {'layer1.1', 'layer2.1', 'layer2.2', 'layer3.1'}
        raise RuntimeError('inside')
    assert list(resnet.named_modules()) == list(modules.items())  # the same ones in their order
    assert list(resnet.state_dict()) == keys


def test_contexts_nest(resnet):
    modules = dict(resnet.named_modules())
    with active_subnet(resnet, (2, 2, 2, 1)):
        with active_subnet(resnet, (1, 3, 2, 1)):
            assert [type(block).__name__ for block in resnet.layer2] == [
                *['Bottleneck'] * 2,
                'Skip',
            ]
            assert type(resnet.layer1[1]).__name__ == 'Skip'
        assert type(resnet.layer1[1]).__name__ == 'Bottleneck'
    assert dict(resnet.named_modules()) == modules


def test_prune_keeps_the_names_and_values_of_what_remains(resnet, images):
    pruned = copy.deepcopy(resnet)
    prune_to_subnet(pruned, (1, 2, 1, 1))
    full, part = resnet.state_dict(), pruned.state_dict()
    assert set(full) - set(part) == {
        key for key in full if key.startswith(('layer1.1.', 'layer2.2.', 'layer3.1.'))
    }
    resnet.eval(), pruned.eval()
    with active_subnet(resnet, (1, 2, 1, 1)):
        assert torch.equal(pruned(images), resnet(images))


class Counting(nn.Module):
    """Numbers its layers: one output for each, and a norm layer after the last."""

    def __init__(self, count):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(count))
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        outputs = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            outputs.append(self.norm(x) if index == len(self.layers) - 1 else x)
        return outputs


@register_residual_stages(Counting)
def counting_stages(backbone):
    return [[Block(backbone.layers, name) for name, _ in backbone.layers.named_children()]]


def test_layers_that_the_forward_numbers_keep_their_numbers():
    network, x = Counting(4), torch.randn(2, 4)
    state = network.state_dict()
    prune_to_subnet(network, (2,))
    first, second, third, last = network(x)
    assert torch.equal(second, third) and not torch.equal(second, first)
    assert torch.equal(last, network.norm(second))
    assert list(network.state_dict()) == [
        key for key in state if key[:8] not in ('layers.2', 'layers.3')
    ]
    assert len(residual_stages(network)[0]) == 2
    with active_subnet(network, (1,)):
        assert torch.equal(network(x)[2], first)
    prune_to_subnet(network, (1,))
    assert torch.equal(network(x)[2], first)


@pytest.mark.parametrize('depths', [(1, 1, 1), (1, 4, 1, 1), (3, 3, 2, 1)])
def test_subnet_outside_the_backbone_is_refused(resnet, depths):
    with (
        pytest.raises(ValueError, match=r'subnet must lie within stages of \(2, 3, 2, 1\) blocks'),
        active_subnet(resnet, depths),
    ):
        pass


def test_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(TypeError, match=r'torch\.nn\..*Linear.*torchvision.*register_residual'):
        residual_stages(nn.Linear(1, 1))
