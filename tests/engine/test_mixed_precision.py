"""Under autocast and with a loss scaler, subnets do what the main network does."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from recorded_run import gradients

from mmst.engine.supervision import GroundTruthSupervision


@OPTIM_WRAPPERS.register_module(force=True)
class CpuAmpOptimWrapper(AmpOptimWrapper):
    """mmengine's AmpOptimWrapper, but for its constructor, which asks for an accelerator."""

    def __init__(self, init_scale=1024.0, fixed=False, **settings):
        OptimWrapper.__init__(self, **settings)
        self._scale_update_param = init_scale if fixed else None
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=init_scale)
        self.cast_dtype = torch.bfloat16  # of a CPU's autocast


def amp(**settings):
    optimizer = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}
    return {'type': 'CpuAmpOptimWrapper', 'optimizer': optimizer, **settings}


@pytest.fixture
def seen(monkeypatch):
    """Type in which the head computes for each subnet; whether autocast is on in its backward."""
    seen = SimpleNamespace(dtypes=[], autocast_in_backward=[])
    losses = GroundTruthSupervision.losses

    def record(_module, _args, output):
        seen.dtypes.append(output.dtype)
        output.register_hook(
            lambda _: seen.autocast_in_backward.append(torch.is_autocast_enabled('cpu'))
        )

    def recording(self, model, *args):
        handle = model.head.register_forward_hook(record)
        try:
            return losses(self, model, *args)
        finally:
            handle.remove()

    monkeypatch.setattr(GroundTruthSupervision, 'losses', recording)
    return seen


def test_subnets_run_in_the_main_networks_precision(make_classifier_runner, hook_config, seen):
    """As torch wants it, the backward runs outside autocast."""
    hook = hook_config(num_subnets=2)
    gradients(make_classifier_runner(hook, max_iters=1, optim_wrapper=amp()))
    assert seen.dtypes == [torch.bfloat16] * 2
    assert seen.autocast_in_backward == [False] * 2
    gradients(make_classifier_runner(hook, max_iters=1))
    assert seen.dtypes[2:] == [torch.float32] * 2


@pytest.mark.usefixtures('same_draws')
def test_gradient_under_autocast_is_main_plus_subnets(
    make_classifier_runner, hook_config, ordered_hook
):
    """Weights cast for a subnet are cached by autocast and used by the main network again."""
    both = gradients(
        make_classifier_runner(hook_config(**ordered_hook), max_iters=1, optim_wrapper=amp())
    )
    main = gradients(make_classifier_runner(None, max_iters=1, optim_wrapper=amp()))
    twice = gradients(
        make_classifier_runner(
            hook_config(weight=2.0, **ordered_hook), max_iters=1, optim_wrapper=amp()
        )
    )
    assert len(both) > 40
    for name, gradient in both.items():
        subnet = twice[name] - both[name]
        torch.testing.assert_close(gradient, main[name] + subnet, rtol=2e-2, atol=2e-3, msg=name)
        assert gradient.dtype == torch.float32


@pytest.mark.usefixtures('same_draws')
def test_scale_does_not_change_the_step(make_classifier_runner, hook_config, ordered_hook):
    hook = hook_config(num_subnets=2, **ordered_hook)
    clip = {'max_norm': 0.5}
    steps = [
        gradients(
            make_classifier_runner(
                hook, max_iters=1, optim_wrapper=amp(init_scale=scale, clip_grad=clip)
            )
        )
        for scale in (1.0, 4096.0)
    ]
    for name, gradient in steps[0].items():
        torch.testing.assert_close(steps[1][name], gradient, rtol=1e-3, atol=1e-6, msg=name)


@pytest.fixture
def overflow_at(monkeypatch):
    """Makes the losses of the given subnet passes, counted over the run, infinite."""

    def install(passes):
        losses = GroundTruthSupervision.losses
        calls = iter(range(1000))

        def overflowing(self, *args):
            loss, values = losses(self, *args)
            return loss * (float('inf') if next(calls) in passes else 1.0), values

        monkeypatch.setattr(GroundTruthSupervision, 'losses', overflowing)

    return install


@pytest.mark.parametrize(
    ('on_nonfinite', 'stays', 'expected_scales', 'message'),
    [
        ('stop', [False, True, False], [1024.0, 512.0, 512.0], 'the loss scaler skips this'),
        ('skip', [False] * 3, [1024.0] * 3, 'skipped on all ranks'),
    ],
)
def test_overflow_in_a_subnet_skips_the_step_or_the_pass(
    make_classifier_runner,
    hook_config,
    overflow_at,
    order,
    on_nonfinite,
    stays,
    expected_scales,
    message,
):
    overflow_at([2])
    hook = hook_config(num_subnets=2, on_nonfinite=on_nonfinite, order=order)
    runner = make_classifier_runner(hook, max_iters=3, optim_wrapper=amp(), log_level='WARNING')
    weights, scales = [runner.model.head.weight.detach().clone()], []

    def record(*args, **kwargs):
        weights.append(runner.model.head.weight.detach().clone())
        scales.append(runner.optim_wrapper.loss_scaler.get_scale())

    runner.record.after_train_iter = record
    runner.train()
    same = [torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False)]
    assert same == stays
    assert scales == expected_scales
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert message in log and 'in the pass of subnet 0 in iteration 1' in log


def test_overflow_that_no_scale_prevents_is_an_error(
    make_classifier_runner, hook_config, overflow_at
):
    overflow_at(range(1000))
    runner = make_classifier_runner(
        hook_config(), max_iters=20, optim_wrapper=amp(init_scale=4.0), log_level='CRITICAL'
    )
    with pytest.raises(FloatingPointError, match=r'loss of a subnet must be finite.*iteration 2'):
        runner.train()


def test_overflow_under_a_scale_that_does_not_fall_is_an_error(
    make_classifier_runner, hook_config, overflow_at, monkeypatch
):
    monkeypatch.setattr('mmst.engine.failures.MOST_LEFT_OUT', 3)
    overflow_at({0, 1, *range(3, 1000)})
    wrapper = amp(init_scale=4.0, fixed=True)
    runner = make_classifier_runner(hook_config(), max_iters=20, optim_wrapper=wrapper)
    with pytest.raises(FloatingPointError, match=r'must be finite.*iteration 5'):
        runner.train()
