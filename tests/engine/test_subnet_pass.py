"""One subnet pass: the right loss, the right gradients, no trace."""

import random

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from mmst.core import Draw, Subnet
from mmst.engine.batch import SubnetBatch
from mmst.engine.model_parts import find_stimulated_backbone
from mmst.engine.random_state import private_random_state
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision

FULL = Subnet((2, 2, 2, 2))


def run_pass(model, data, subnet, weight=1.0, supervision=None, wrapper=OptimWrapper):
    """Runs a pass; returns its values."""
    optim_wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    supervision = supervision or GroundTruthSupervision()
    subnet_pass = SubnetPass(Draw(0, 0), subnet)
    SubnetTrainer(model, model.backbone, supervision, optim_wrapper).run(
        subnet_pass, SubnetBatch(data['inputs'], data['data_samples'], (96, 96)), weight
    )
    return subnet_pass.values


def main_loss(model, data):
    with private_random_state('mmst.pass:0:0:0:0', torch.device('cpu')):
        return model.parse_losses(model.forward(**data, mode='loss'))[1]


def gradients(model):
    return {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def test_full_subnet_at_full_size_has_the_main_networks_loss(make_toy, toy_batch):
    model = make_toy()
    expected = main_loss(model, toy_batch(model))
    values = run_pass(model, toy_batch(model), FULL)
    assert set(values) == set(expected)
    for name, value in expected.items():
        assert torch.equal(values[name], value.detach()), name
        assert not values[name].requires_grad


def test_subnet_has_the_loss_and_gradients_of_a_rebuilt_model(make_toy, toy_batch):
    model, rebuilt = make_toy(), make_toy(depths=(2, 1, 2, 1))
    rebuilt.load_state_dict(
        {k: v for k, v in model.state_dict().items() if k in rebuilt.state_dict()}
    )
    values = run_pass(model, toy_batch(model), Subnet((2, 1, 2, 1)))
    expected = run_pass(rebuilt, toy_batch(rebuilt), FULL_OF_REBUILT)
    assert torch.equal(values['loss'], expected['loss'])
    ours, theirs = gradients(model), gradients(rebuilt)
    skipped = set(ours) - set(theirs)
    assert {name.split('.')[1] for name in skipped} == {'layer2', 'layer4'}
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, msg=name)
    assert all(ours[name] is None for name in skipped)


FULL_OF_REBUILT = Subnet((2, 1, 2, 1))


def test_only_skipped_blocks_get_no_gradient(make_toy, toy_batch):
    model = make_toy()
    run_pass(model, toy_batch(model), Subnet((1, 1, 1, 1)))
    skipped = [f'backbone.layer{stage}.1.' for stage in (1, 2, 3, 4)]
    for name, gradient in gradients(model).items():
        assert (gradient is None) == any(name.startswith(block) for block in skipped), name


def test_weight_scales_the_gradient_and_not_the_logged_loss(make_toy, toy_batch):
    model = make_toy()
    loss = run_pass(model, toy_batch(model), FULL)['loss']
    once = gradients(model)
    model.zero_grad()
    assert torch.equal(run_pass(model, toy_batch(model), FULL, weight=0.25)['loss'], loss)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, once[name] * 0.25, msg=name)


def test_accumulating_wrapper_scales_the_loss_without_counting(make_toy, toy_batch):
    model = make_toy()
    run_pass(model, toy_batch(model), FULL)
    once = gradients(model)
    model.zero_grad()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=4)
    run_pass(model, toy_batch(model), FULL, wrapper=lambda optimizer: wrapper)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, once[name] / 4, msg=name)
    assert wrapper._inner_count == 0


class ScalingWrapper(OptimWrapper):
    """Has a loss scaler, as AmpOptimWrapper, which needs an accelerator."""

    class loss_scaler:
        scale = staticmethod(lambda loss: loss * 1024)


def test_loss_is_scaled_as_mixed_precision_scales_the_main_loss(make_toy, toy_batch):
    model = make_toy()
    run_pass(model, toy_batch(model), FULL)
    once = gradients(model)
    model.zero_grad()
    values = run_pass(model, toy_batch(model), FULL, wrapper=ScalingWrapper)
    assert values['loss'] < 100
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, once[name] * 1024, msg=name)


def snapshot(model):
    return {
        'modules': dict(model.named_modules()),
        'training': {name: module.training for name, module in model.named_modules()},
        'attributes': {
            name: getattr(module, 'track_running_stats', None)
            for name, module in model.named_modules()
        },
        'state': {name: value.numpy().tobytes() for name, value in model.state_dict().items()},
        'random': (
            random.getstate(),
            str(np.random.get_state()),
            torch.get_rng_state().numpy().tobytes(),
        ),
    }


class Broken(GroundTruthSupervision):
    def losses(self, *args):
        super().losses(*args)
        raise RuntimeError('broken supervision')


def test_nothing_but_gradients_has_changed(make_toy, toy_batch):
    model = make_toy()
    data = toy_batch(model)
    before = snapshot(model)
    run_pass(model, data, Subnet((1, 2, 1, 1)))
    assert snapshot(model) == before


def test_exception_leaves_the_model_untouched(make_toy, toy_batch):
    model = make_toy()
    data = toy_batch(model)
    before = snapshot(model)
    with pytest.raises(RuntimeError, match='broken supervision'):
        run_pass(model, data, Subnet((1, 2, 1, 1)), supervision=Broken())
    assert snapshot(model) == before
    assert all(gradient is None for gradient in gradients(model).values())


def test_random_states_depend_on_the_key_only():
    def draw(key):
        with private_random_state(key, torch.device('cpu')):
            return random.random(), np.random.rand(), torch.rand(1).item()

    first = draw('a')
    torch.rand(3)
    assert draw('a') == first
    assert all(a != b for a, b in zip(first, draw('b'), strict=True))


def test_model_without_st_backbone_is_refused():
    with pytest.raises(
        ValueError, match="mmst.STBackbone, got none in Linear.*type='mmst.STBackbone'"
    ):
        find_stimulated_backbone(torch.nn.Linear(1, 1))


def test_model_with_two_st_backbones_is_refused(make_toy):
    model = torch.nn.ModuleDict({'student': make_toy(), 'teacher': make_toy()})
    with pytest.raises(ValueError, match=r'got 2: student\.backbone, teacher\.backbone'):
        find_stimulated_backbone(model)
