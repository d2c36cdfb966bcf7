"""A failure in a subnet pass is reported precisely, and leaves nothing behind."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded_run import momentum

from mmst.core.skip import Skip
from mmst.engine.supervision import GroundTruthSupervision


@pytest.fixture
def fail_at(monkeypatch):
    """Makes the given subnet passes, counted over the run, do something else with their loss."""

    def install(action, *passes):
        losses = GroundTruthSupervision.losses
        calls = iter(range(1000))

        def failing(self, *args):
            loss, values = losses(self, *args)
            if next(calls) in passes:
                loss = action(loss)
                values = {'loss': loss}
            return loss, values

        monkeypatch.setattr(GroundTruthSupervision, 'losses', failing)

    return install


def nan(loss):
    return loss * float('nan')


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_loss_that_is_not_finite_stops_before_the_step(
    make_classifier_runner, hook_config, fail_at, order
):
    fail_at(nan, 3)
    runner = make_classifier_runner(hook_config(num_subnets=2, order=order), max_iters=4)
    weights = []
    runner.record.after_train_iter = lambda *args, **kwargs: weights.append(state(runner.model))
    message = (
        r'loss of a subnet must be finite, got loss=nan in the pass of subnet 1 in iteration 1 '
        r'\(Subnet\(depths=\(\d, \d, \d, \d\)\), 2 images in a batch of \d+x\d+ pixels\)'
        r".*on_nonfinite='skip'"
    )
    with pytest.raises(FloatingPointError, match=message):
        runner.train()
    assert runner.iter == 1
    for name, parameter in runner.model.named_parameters():
        assert torch.equal(parameter, weights[0][name]), name


def test_skipped_passes_are_counted_and_leave_no_gradient(
    make_classifier_runner, hook_config, fail_at, order
):
    hook = hook_config(num_subnets=2, on_nonfinite='skip', order=order)
    fail_at(nan, 0, 1, 4)
    runner = make_classifier_runner(hook, max_iters=3, lr=0.0, log_level='WARNING')
    gradients = []
    runner.record.after_train_iter, record = (
        lambda runner, *args, **kwargs: (
            gradients.append({n: v.clone() for n, v in momentum(runner).items()}),
            record(runner, *args, **kwargs),
        ),
        runner.record.after_train_iter,
    )
    runner.train()
    assert [values['skipped'][0] for values in runner.record.subnet] == [2, 2, 3]
    assert [values['loss'][1] for values in runner.record.subnet[1:]] == [1, 2]
    assert np.isfinite([values['loss'][0] for values in runner.record.subnet[1:]]).all()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert text.count('skipped on all ranks') == 3
    assert 'in the pass of subnet 0 in iteration 2' in text

    plain = make_classifier_runner(None, max_iters=1, lr=0.0)
    plain.train()
    for name, value in momentum(plain).items():
        assert torch.equal(gradients[0][name], value), name


def exhaust(loss):
    return torch.empty(2**60)


def cuda_is_out_of_memory(loss):
    raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')


@pytest.mark.parametrize(
    ('action', 'reason'),
    [(exhaust, "can't allocate memory"), (cuda_is_out_of_memory, 'CUDA out of memory')],
)
def test_lack_of_memory_names_subnet_and_size(
    make_classifier_runner, hook_config, fail_at, action, reason
):
    fail_at(action, 2)
    runner = make_classifier_runner(hook_config(), max_iters=4)
    message = (
        r'out of memory in the pass of subnet 0 in iteration 2 \(Subnet\(depths=.*\), 2 images in '
        rf'a batch of \d+x\d+ pixels\): .*{reason}'
    )
    with pytest.raises(torch.OutOfMemoryError, match=message):
        runner.train()


def test_other_errors_stay_as_they_are_and_are_located_in_the_log(
    make_classifier_runner, hook_config, fail_at
):
    fail_at(lambda loss: {}['gone'], 1)
    runner = make_classifier_runner(hook_config(), max_iters=4)
    with pytest.raises(KeyError, match='gone'):
        runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'KeyError in the pass of subnet 0 in iteration 1 (Subnet(depths=' in text


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


class InterruptedBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise KeyboardInterrupt


@pytest.mark.parametrize('where', ['subnet forward', 'subnet backward', 'main forward', 'step'])
def test_interrupted_training_leaves_the_model_as_it_was(
    make_classifier_runner, hook_config, fail_at, order, where
):
    runner = make_classifier_runner(hook_config(order=order), max_iters=2)
    model = runner.model
    modules = dict(model.named_modules())
    if where == 'subnet forward':
        fail_at(interrupt, 0)
    elif where == 'subnet backward':
        fail_at(InterruptedBackward.apply, 0)
    elif where == 'main forward':
        before = iter([True] if order == 'main_first' else [False, True])
        model.head.register_forward_hook(lambda *args: interrupt() if next(before) else None)
    else:
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.optim_wrapper.step = interrupt
    python_state = random.getstate()
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert dict(model.named_modules()) == modules
    assert not any(isinstance(module, Skip) for module in model.modules())
    assert all(getattr(module, 'track_running_stats', True) for module in model.modules())
    if (where, order) != ('main forward', 'main_first'):  # the next iteration takes them back
        assert not model._forward_pre_hooks and not model._forward_hooks
    assert random.getstate() == python_state


def test_gradients_left_by_an_interruption_are_dropped(make_classifier_runner, hook_config, order):
    hook = hook_config(order=order)
    interrupted, fresh = (make_classifier_runner(hook, max_iters=1) for _ in range(2))
    for parameter in interrupted.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for runner in (interrupted, fresh):
        runner.train()
    assert len(momentum(fresh)) > 40
    for name, value in momentum(fresh).items():
        assert torch.equal(momentum(interrupted)[name], value), name


def test_norm_layers_with_one_value_name_the_pass_and_the_remedy(
    make_classifier_runner, hook_config
):
    """A 64 x 64 image has 2 x 2 features, a half as large one a single one."""
    hook = hook_config(batch_fraction=0.5, inputs={**hook_config()['inputs'], 'min_ratio': 0.1})
    make_classifier_runner(hook_config(batch_fraction=0.5, inputs=None), max_iters=2).train()
    message = (
        r'more than one value per channel, got one in the pass of subnet 0 in iteration \d+ '
        r'\(.*, 1 images in .*\. Raise min_ratio or batch_fraction'
    )
    with pytest.raises(ValueError, match=message):
        make_classifier_runner(hook, max_iters=20).train()
