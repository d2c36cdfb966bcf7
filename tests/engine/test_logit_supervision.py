"""Subnets learn from the logits that the main network has just given."""

import pytest
import torch
from mmengine.registry import MODELS
from recorded_run import gradients
from torch import nn

from mmst.core import (
    active_subnet,
    backward_with_subnets,
    isolated_norm,
    kl_div_loss,
    kl_minus_loss,
    resize_batch,
)
from mmst.engine.supervision import LogitSupervision
from mmst.models.losses import KLMinusLoss

KL = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLDivLoss', 'temperature': 2.0}}
MINUS = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLMinusLoss'}}


def by_hand(model, loss, truth_weight):
    """Main loss, then the subnet of ``same_draws`` at half the size, in one backward each."""
    images = torch.stack([model.dataset[index]['inputs'] for index in (0, 1)]).float()
    images = (images - 127) / 60
    labels = torch.tensor([0, 1])
    model.train()
    logits = model(images)
    nn.functional.cross_entropy(logits, labels).backward()
    with active_subnet(model.backbone, (1, 2, 1, 2)), isolated_norm(model):
        student = model(resize_batch(images, (32, 32)))
        subnet = loss(student, logits.detach())
        if truth_weight:
            subnet = subnet + truth_weight * nn.functional.cross_entropy(student, labels)
        subnet.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.usefixtures('same_draws')
@pytest.mark.parametrize(
    ('supervision', 'loss', 'truth_weight'),
    [
        (KL, lambda z, t: kl_div_loss(z, t, 2.0), 0),
        (MINUS, kl_minus_loss, 0),
        ({**KL, 'ground_truth_weight': 0.5}, lambda z, t: kl_div_loss(z, t, 2.0), 0.5),
    ],
)
def test_gradient_is_that_of_the_formula(
    make_classifier_runner, hook_config, order, supervision, loss, truth_weight
):
    hook = hook_config(supervision=supervision, order=order)
    runner = make_classifier_runner(hook, max_iters=1)
    reference = make_classifier_runner(None, max_iters=1)
    reference.model.dataset = runner.train_dataloader.dataset
    expected = by_hand(reference.model, loss, truth_weight)
    result = gradients(runner)
    assert len(result) > 40
    for name, gradient in result.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)
    logged = runner.record.subnet[0]
    assert ('loss_logits' in logged) == ('loss_ground_truth' in logged) == bool(truth_weight)
    if truth_weight:
        parts = [logged[name][0] for name in ('loss_logits', 'loss_ground_truth', 'loss')]
        assert parts[2] == pytest.approx(parts[0] + truth_weight * parts[1])


@pytest.mark.usefixtures('same_draws')
def test_gradient_is_that_of_the_loop_without_mmengine(make_classifier_runner, hook_config):
    runner = make_classifier_runner(hook_config(supervision=MINUS, weight=0.5), max_iters=1)
    model = make_classifier_runner(None, max_iters=1).model.train()
    dataset = runner.train_dataloader.dataset
    images = torch.stack([dataset[index]['inputs'] for index in (0, 1)]).float()
    losses = backward_with_subnets(
        model,
        model.backbone,
        (images - 127) / 60,
        [((1, 2, 1, 2), (32, 32))],
        main_loss=lambda logits: nn.functional.cross_entropy(logits, torch.tensor([0, 1])),
        subnet_loss=kl_minus_loss,
        weight=0.5,
    )
    result = gradients(runner)
    assert runner.record.subnet[0]['loss'][0] == pytest.approx(losses.subnets[0].item())
    assert len(result) > 40
    for name, parameter in model.named_parameters():
        expected = parameter.grad
        torch.testing.assert_close(result[name], expected, rtol=1e-4, atol=1e-6, msg=name)


def test_main_network_is_trained_as_without(make_classifier_runner, hook_config, order):
    hook = hook_config(supervision=MINUS, num_subnets=3, order=order)
    stimulated = make_classifier_runner(hook, max_iters=3, lr=0.0)
    plain = make_classifier_runner(None, max_iters=3, lr=0.0)
    for runner in (stimulated, plain):
        runner.train()
    assert stimulated.record.outputs == plain.record.outputs
    for name, value in plain.model.state_dict().items():
        assert torch.equal(stimulated.model.state_dict()[name], value), name
    assert all(values['loss'][0] > 0 for values in stimulated.record.subnet)
    assert not stimulated.model.head._forward_hooks


@pytest.mark.usefixtures('same_draws')
def test_part_of_a_batch_has_its_own_teacher(make_classifier_runner, hook_config, monkeypatch):
    seen = []
    losses = LogitSupervision.losses

    def recording(self, model, inputs, data_samples, logits):
        seen.append((model.head.weight.detach().clone(), data_samples, logits))
        return losses(self, model, inputs, data_samples, logits)

    monkeypatch.setattr(LogitSupervision, 'losses', recording)
    hook = hook_config(supervision=KL, num_subnets=4, batch_fraction=0.5)
    runner = make_classifier_runner(hook, max_iters=1, batch_size=4, lr=0.0)
    outputs = []
    runner.model.head.register_forward_hook(lambda *call: outputs.append(call[2].detach()))
    runner.train()
    assert len(seen) == 4 and len(outputs) == 5
    for _, samples, logits in seen:
        places = [int(sample.gt_instances.labels) for sample in samples]
        assert len(places) == 2
        assert torch.equal(logits, outputs[0][places])
    assert not seen[0][2].requires_grad


@MODELS.register_module(force=True)
class SquaredDistance(nn.Module):
    def forward(self, student, teacher):
        return (student - teacher).square().mean()


def test_any_registered_loss_of_two_logits_will_do(make_classifier_runner, hook_config):
    supervision = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'SquaredDistance'}}
    runner = make_classifier_runner(hook_config(supervision=supervision), max_iters=1)
    logits = []
    runner.model.head.register_forward_hook(lambda *call: logits.append(call[2].detach()))
    runner.train()
    teacher, student = logits
    expected = (student - teacher).square().mean().item()
    assert runner.record.subnet[0]['loss'][0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'logits_from': 'bbox_head'}, "name a module of ToyClassifier, got 'bbox_head'.*Ground"),
        ({'logits_from': 'backbone'}, 'must name a module whose output are logits .*, got <class'),
        ({'logits_from': 'backbone.layer4'}, r'logits of shape .*, got shape \(2, 64, 2, 2\)'),
        ({'logits_from': 'unused'}, 'one that ran 0 times'),
    ],
)
def test_module_without_logits_is_refused(make_classifier_runner, hook_config, settings, message):
    runner = make_classifier_runner(hook_config(supervision={**KL, **settings}), max_iters=2)
    runner.model.unused = nn.Linear(2, 2)
    with pytest.raises((TypeError, ValueError), match=message):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'loss': 'KL'}, "loss must be a config with a type, .* got 'KL'"),
        ({**KL, 'ground_truth_weight': -1}, 'ground_truth_weight must be at least 0, got -1'),
    ],
)
def test_bad_settings_are_named(settings, message):
    settings.pop('type', None)
    with pytest.raises(ValueError, match=message):
        LogitSupervision(**settings)


def test_failing_forward_leaves_no_hook(make_classifier_runner, hook_config):
    runner = make_classifier_runner(hook_config(supervision=MINUS), max_iters=2)
    model = runner.model

    def fail(*args):
        raise RuntimeError('broken dropout')

    model.dropout.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match='broken dropout'):
        runner.train()
    assert not model._forward_hooks and not model.head._forward_hooks


def test_summary_says_what_subnets_learn_from():
    text = str(LogitSupervision(**{k: v for k, v in MINUS.items() if k != 'type'}))
    assert text == f"the main network's logits, {KLMinusLoss()}"
    assert "normalize='layer_norm', amplitude=1, temperature=1" in text
