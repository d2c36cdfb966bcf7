"""Every known backbone family skips blocks as its library would build the network without them."""

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmst.core import (
    DepthSpace,
    Subnet,
    active_subnet,
    depth_cost,
    isolated_norm,
    prune_to_subnet,
    residual_stages,
)
from mmst.core.stages import check_raw

OPENMMLAB = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain')


def tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in tensors(output)]


def run(backbone, images):
    return tensors(backbone(images))


def test_full_depth_is_the_untouched_backbone(case, backbone):
    assert tuple(len(stage) for stage in residual_stages(backbone)) == case.full
    with torch.no_grad():
        whole = run(backbone, case.images())
        with active_subnet(backbone, case.full):
            assert all(map(torch.equal, run(backbone, case.images()), whole))
    assert whole and all(output.isfinite().all() for output in whole)


def test_each_block_can_be_skipped_alone_and_matters(case, backbone):
    with torch.no_grad():
        whole = run(backbone, case.images())
        for stage, block in ((s, b) for s, n in enumerate(case.full) for b in range(1, n)):
            kept = [list(range(n)) for n in case.full]
            kept[stage].remove(block)
            with active_subnet(backbone, Subnet(tuple(map(len, kept)), tuple(map(tuple, kept)))):
                outputs = run(backbone, case.images())
            assert [o.shape for o in outputs] == [o.shape for o in whole], (stage, block)
            assert not torch.equal(outputs[-1], whole[-1]), (stage, block)


def test_subnet_is_the_network_built_shallower(case, backbone):
    state = backbone.state_dict()
    with torch.no_grad(), active_subnet(backbone, case.depths):
        outputs = run(backbone, case.images())
    networks = [case.build()]
    prune_to_subnet(networks[0], case.depths)
    if case.library in OPENMMLAB:
        networks.append(case.build(type='mmst.STBackbone', wraps=case.name, depths=case.depths))
        assert networks[-1].depth_space == DepthSpace(case.depths)
    if case.shallow is not None:
        networks.append(case.build(**case.shallow))
    for network in networks:
        assert type(network) is type(backbone)
        part = copy.copy(state)  # with its version, which torchvision's MNASNet reads
        for key in set(state) - set(network.state_dict()):
            del part[key]
        missing = network.load_state_dict(part, False)
        # Swin V2 drops its constant tables from a state dict and computes them again.
        assert not [key for key in missing.missing_keys if 'relative_' not in key]
        assert not missing.unexpected_keys
        assert len(network.state_dict()) < len(state)
        network.eval()
        with torch.no_grad():
            shallower = run(network, case.images())
        assert torch.equal(shallower[-1], outputs[-1])
        if network is networks[0]:  # the layer numbers of its outputs are those of the whole one
            assert all(map(torch.equal, shallower, outputs)) and len(shallower) == len(outputs)
    with active_subnet(networks[0], [1] * len(case.full)):
        assert tuple(len(stage) for stage in residual_stages(networks[0])) == case.depths


def test_kept_blocks_get_gradients_and_skipped_ones_none(case, backbone):
    stages = [[b.module for b in stage] for stage in residual_stages(backbone)]
    kept = [b for stage, depth in zip(stages, case.depths, strict=True) for b in stage[:depth]]
    skipped = [b for stage, depth in zip(stages, case.depths, strict=True) for b in stage[depth:]]
    assert skipped

    def parameters_without_gradient():
        sum(output.square().sum() for output in run(backbone, case.images())).backward()
        return {id(value) for value in parameters if value.grad is None}

    parameters = list(backbone.parameters())
    unused = parameters_without_gradient()  # norm layers that upstream makes and never calls
    backbone.zero_grad()
    with active_subnet(backbone, case.depths):
        left = parameters_without_gradient()
    assert left == unused | {id(value) for block in skipped for value in block.parameters()}
    for block in kept:
        assert any(value.grad is not None and value.grad.any() for value in block.parameters())


def test_subnet_pass_leaves_norm_statistics_alone(case, backbone):
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    backbone.train()
    with torch.no_grad(), active_subnet(backbone, case.depths), isolated_norm(backbone):
        backbone(case.images())
    after = dict(backbone.named_buffers())
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_counted_cost_is_that_of_the_subnet(case, backbone):
    cost = depth_cost(backbone, (case.size, case.size))
    assert all(flops > 0 for stage in cost.blocks for flops in stage)

    def count():
        backbone.to('meta')
        backbone.eval()  # LeViT and TinyViT keep a table of the old device
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            backbone(case.images()[:1].to('meta'))
        return counter.get_total_flops()

    backbone = copy.deepcopy(backbone)
    full = count()
    assert cost.total == full
    with active_subnet(backbone, case.depths):
        assert cost.ratio(Subnet(case.depths)) == pytest.approx(count() / full)


def test_backbone_of_a_config_is_upstreams_with_its_space(case, backbone):
    if case.library not in OPENMMLAB:
        pytest.skip('configs are of OpenMMLab libraries')
    built = case.build(type='mmst.STBackbone', wraps=case.name)
    assert type(built) is type(backbone)
    assert list(built.state_dict()) == list(backbone.state_dict())
    assert built.depth_space == DepthSpace(case.full)


def clones(states):
    """Copies of the tensors among what a block takes or returns."""
    states = states if isinstance(states, tuple) else (states,)
    return [state.clone() for state in states if isinstance(state, torch.Tensor)]


def later_blocks(backbone):
    return [block.module for stage in residual_stages(backbone) for block in stage[1:]]


def allows_raw(backbone):
    try:
        check_raw(backbone)
    except ValueError:
        return False
    return True


def test_raw_sampling_is_allowed_exactly_where_a_block_without_branch_is_the_identity(
    case, backbone
):
    """Without parameters the branch is zero; an activation after the addition shows.

    Nor can the branch be told from the output if the block changes its input in place.
    """
    backbone = copy.deepcopy(backbone)
    before, in_place, same = [], [], []

    def random_input(module, inputs):
        return (torch.randn_like(inputs[0]), *inputs[1:])

    for block in later_blocks(backbone):
        block.register_forward_pre_hook(lambda module, inputs: before.append(clones(inputs)))
        block.register_forward_hook(
            lambda module, inputs, out: in_place.append((before.pop(), clones(inputs)))
        )
    with torch.no_grad():
        backbone(case.images())
    for block in later_blocks(backbone):
        block._forward_pre_hooks.clear()
        block._forward_hooks.clear()
        for parameter in block.parameters():
            parameter.data.zero_()
        block.register_forward_pre_hook(random_input)
        block.register_forward_hook(
            lambda module, inputs, out: same.append((clones(inputs), clones(out)))
        )
    with torch.no_grad():
        backbone(case.images())
    assert len(same) == len(in_place) == len(later_blocks(backbone))
    possible = all(all(map(torch.equal, *pair)) for pair in same + in_place)
    assert possible == allows_raw(backbone)


def test_raw_subnet_runs_residual_branches_alone(case, backbone):
    raw = DepthSpace(case.full, rule='raw').largest
    if not allows_raw(backbone):
        with pytest.raises(ValueError, match="rule 'raw' needs blocks that end with the addition"):
            active_subnet(backbone, raw).__enter__()
        return
    seen, before = [], []

    def keep(module, inputs):
        before.append(inputs[0].clone())

    def compare(module, inputs, others, output):
        whole = module.forward(before[-1].clone(), *inputs[1:], **others)
        if isinstance(whole, tuple):  # MViT, with the size of the map
            assert output[1:] == whole[1:]
            output, whole = output[0], whole[0]
        seen.append(torch.equal(output, whole - before[-1]))

    with torch.no_grad():
        whole = run(backbone, case.images())
        with active_subnet(backbone, raw):
            handles = [b.register_forward_pre_hook(keep) for b in later_blocks(backbone)]
            handles += [
                b.register_forward_hook(compare, with_kwargs=True) for b in later_blocks(backbone)
            ]
            outputs = run(backbone, case.images())
        [handle.remove() for handle in handles]
        again = run(backbone, case.images())
    assert len(seen) == len(later_blocks(backbone)) and all(seen)
    assert not torch.equal(outputs[-1], whole[-1])
    assert all(map(torch.equal, again, whole))
