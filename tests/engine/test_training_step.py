"""Accumulation, clipping, schedules, averages and frozen layers are those of mmengine."""

import math

import pytest
import torch
from mmengine.hooks import Hook
from recorded_run import gradients


class Steps(Hook):
    """Keeps the learning rate, gradient norm and a weight of each iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.rates, self.norms, self.weights = [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        norms = runner.message_hub.log_scalars.get('train/grad_norm')
        self.norms.append(norms and norms.current())
        self.weights.append(runner.model.head.weight.detach().clone())


def parameters(runner):
    return {name: value.detach().clone() for name, value in runner.model.named_parameters()}


def moved(runner):
    """Trains; returns by how much each parameter moved."""
    before = parameters(runner)
    runner.train()
    return {name: value - before[name] for name, value in parameters(runner).items()}


def sgd(**settings):
    return {
        'type': 'OptimWrapper',
        'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9},
    } | settings


FIXED_NORM = {'norm_eval': True}


@pytest.mark.usefixtures('same_draws')
def test_accumulating_two_batches_is_one_doubled_batch(
    make_classifier_runner, hook_config, ordered_hook
):
    hook = hook_config(num_subnets=2, **ordered_hook)
    halves = make_classifier_runner(
        hook, max_iters=2, backbone=FIXED_NORM, optim_wrapper=sgd(accumulative_counts=2)
    )
    doubled = make_classifier_runner(
        hook, max_iters=1, batch_size=4, backbone=FIXED_NORM, optim_wrapper=sgd()
    )
    expected = moved(doubled)
    assert sum(bool(step.abs().sum() > 0) for step in expected.values()) > 40
    for name, step in moved(halves).items():
        torch.testing.assert_close(step, expected[name], rtol=1e-4, atol=1e-7, msg=name)
    plain = moved(
        make_classifier_runner(
            None, max_iters=1, batch_size=4, backbone=FIXED_NORM, optim_wrapper=sgd()
        )
    )
    assert not torch.allclose(plain['head.weight'], expected['head.weight'], rtol=0.1)


def test_clipping_acts_on_the_sum(make_classifier_runner, hook_config, ordered_hook):
    hook = hook_config(num_subnets=2, **ordered_hook)
    whole = gradients(make_classifier_runner(hook, max_iters=1, optim_wrapper=sgd()))
    norm = math.sqrt(sum(float(g.square().sum()) for g in whole.values()))
    steps = Steps()
    clip = sgd(clip_grad={'max_norm': norm / 4})
    runner = make_classifier_runner(hook, max_iters=1, optim_wrapper=clip, custom_hooks=[steps])
    clipped = gradients(runner)
    assert steps.norms[0] == pytest.approx(norm, rel=1e-5)
    for name, gradient in clipped.items():
        torch.testing.assert_close(gradient, whole[name] / 4, rtol=1e-4, atol=1e-8, msg=name)


def test_warm_up_takes_one_step_per_iteration(make_classifier_runner, hook_config):
    warm_up = {'type': 'LinearLR', 'start_factor': 0.2, 'by_epoch': False, 'begin': 0, 'end': 4}
    rates = []
    for hook in (None, hook_config(num_subnets=3)):
        steps = Steps()
        make_classifier_runner(
            hook,
            max_iters=5,
            param_scheduler=[warm_up],
            custom_hooks=[steps],
            optim_wrapper=sgd(accumulative_counts=2),
        ).train()
        rates.append(steps.rates)
    assert rates[0] == rates[1] == pytest.approx([0.02, 0.0466667, 0.0733333, 0.1, 0.1])


def test_averaged_weights_are_those_of_the_main_network(make_classifier_runner, hook_config):
    steps = Steps()
    ema = {'type': 'EMAHook', 'momentum': 0.25}
    runner = make_classifier_runner(
        hook_config(), max_iters=3, custom_hooks=[steps, ema], optim_wrapper=sgd()
    )
    runner.train()
    average = steps.weights[0]  # the first update copies
    for weight in steps.weights[1:]:
        average = 0.75 * average + 0.25 * weight
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    averaged = hook.ema_model.module
    torch.testing.assert_close(averaged.head.weight, average)
    assert not torch.equal(steps.weights[0], steps.weights[2])
    assert averaged.backbone.bn1.num_batches_tracked == 3  # of nine passes


@pytest.mark.usefixtures('same_draws')
def test_activation_checkpointing_changes_nothing(
    make_classifier_runner, hook_config, ordered_hook
):
    hook = hook_config(num_subnets=2, **ordered_hook)
    results = [
        gradients(make_classifier_runner(hook, max_iters=1, backbone={'with_cp': with_cp}))
        for with_cp in (False, True)
    ]
    assert len(results[0]) > 40
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, msg=name)


def test_checkpointing_of_whole_stages_changes_nothing(make_classifier_runner, hook_config, order):
    """mmengine's activation_checkpointing runs a stage again in the backward."""
    hook = hook_config(num_subnets=2, order=order)
    expected = gradients(make_classifier_runner(hook, max_iters=1))
    stages = [f'backbone.layer{stage}' for stage in (1, 2, 3, 4)]
    runner = make_classifier_runner(hook, max_iters=1, cfg={'activation_checkpointing': stages})
    for name, gradient in gradients(runner).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_frozen_stages_stay_as_they_are(make_classifier_runner, hook_config, order):
    frozen = {'frozen_stages': 2}
    runner = make_classifier_runner(hook_config(order=order), max_iters=2, backbone=frozen)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    steps = moved(runner)
    names = ('backbone.conv1', 'backbone.bn1', 'backbone.layer1', 'backbone.layer2')
    assert sum(name.startswith(names) for name in steps) > 10
    for name, step in steps.items():
        assert bool(step.abs().sum() == 0) == name.startswith(names), name
    after = runner.model.state_dict()
    for name in ('backbone.layer2.1.bn1.running_mean', 'backbone.layer2.1.bn1.num_batches_tracked'):
        assert torch.equal(after[name], before[name])
    assert after['backbone.layer3.0.bn1.num_batches_tracked'] == 2


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_decides_on_the_statistics(make_classifier_runner, hook_config, norm_eval):
    runner = make_classifier_runner(
        hook_config(), max_iters=2, lr=0.0, backbone={'norm_eval': norm_eval}
    )
    runner.train()
    plain = make_classifier_runner(None, max_iters=2, lr=0.0, backbone={'norm_eval': norm_eval})
    plain.train()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(runner.model.state_dict()[name], value), name
    assert runner.model.backbone.bn1.num_batches_tracked == (0 if norm_eval else 2)
