"""Subnets are trained however a model is called, or the run stops."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from toy_classifier import ToyClassifier

from mmst.core.state_guard import record_state
from mmst.engine import state_check
from mmst.engine.failures import LossCheck


@MODELS.register_module(force=True)
class HandsOn(ToyClassifier):
    """A common way to subclass: the signature says nothing."""

    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


@MODELS.register_module(force=True)
class OtherNames(ToyClassifier):
    """As mmpretrain's multimodal models name their images."""

    def forward(self, images, samples=None, mode='tensor'):
        return super().forward(images, samples, mode)

    def _run_forward(self, data, mode):
        return self(data['inputs'], data['data_samples'], mode)


def undocumented(function):
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


@MODELS.register_module(force=True)
class Decorated(ToyClassifier):
    forward = undocumented(ToyClassifier.forward)


@MODELS.register_module(force=True)
class DefaultMode(ToyClassifier):
    """Trains unless it is told otherwise."""

    def forward(self, inputs, data_samples=None, mode='loss'):
        return super().forward(inputs, data_samples, mode)

    def _run_forward(self, data, mode):
        return self(data['inputs'], data['data_samples'])


@MODELS.register_module(force=True)
class KeywordMode(ToyClassifier):
    def forward(self, images, samples=None, *, mode='tensor'):
        return super().forward(images, samples, mode)

    def _run_forward(self, data, mode):
        return self(images=data['inputs'], samples=data['data_samples'], mode=mode)


@MODELS.register_module(force=True)
class PositionalMode(HandsOn):
    """Batches as lists, and the mode by position."""

    def _run_forward(self, data, mode):
        return self(data['inputs'], data['data_samples'], mode)


@pytest.mark.parametrize(
    'kind', [HandsOn, OtherNames, Decorated, DefaultMode, KeywordMode, PositionalMode]
)
def test_mode_is_found_however_it_is_passed(make_classifier_runner, hook_config, hook, kind):
    def losses(kind):
        runner = make_classifier_runner(hook_config(**hook), max_iters=2, kind=kind.__name__)
        runner.train()
        return [values['loss'][0] for values in runner.record.subnet]

    assert len(losses(kind)) == 2
    assert losses(kind) == losses(ToyClassifier)


@MODELS.register_module(force=True)
class Bypassing(ToyClassifier):
    """Computes its losses without its forward."""

    def _run_forward(self, data, mode):
        return self.forward(**data, mode=mode)


@MODELS.register_module(force=True)
class OtherMode(ToyClassifier):
    def _run_forward(self, data, mode):
        logits = self(data['inputs'], mode='tensor')
        return {'loss': logits.square().mean()}


@MODELS.register_module(force=True)
class Evaluating(ToyClassifier):
    def _run_forward(self, data, mode):
        self.eval()
        return super()._run_forward(data, mode)


@pytest.mark.parametrize(
    ('kind', 'calls'),
    [
        (Bypassing, 'none'),
        (OtherMode, "mode='tensor'"),
        (Evaluating, 'evaluation mode'),
    ],
)
def test_iteration_without_a_subnet_is_an_error(
    make_classifier_runner, hook_config, hook, kind, calls
):
    runner = make_classifier_runner(hook_config(**hook), max_iters=2, kind=kind.__name__)
    with pytest.raises(
        RuntimeError,
        match=rf"train_step of {kind.__name__} must call the model with mode='loss'.* in "
        rf'iteration 0 \(calls: {calls}\)',
    ):
        runner.train()
    assert runner.iter == 0


def test_iterations_that_are_not_stimulated_may_go_without(make_classifier_runner, hook_config):
    hook = hook_config(begin=1, inputs=None)
    make_classifier_runner(hook, max_iters=2, kind='ToyClassifier').train()
    runner = make_classifier_runner(hook, max_iters=2, kind='Bypassing')
    with pytest.raises(RuntimeError, match='iteration 1'):
        runner.train()


def test_loss_is_not_read_during_a_pass():
    """Reading one would wait for the device; a tensor without values cannot be read."""
    check = LossCheck(optim_wrapper=None, skip=False)
    loss = torch.empty((), device='meta')
    assert check.accept('a pass', loss, {'loss': loss})
    check.forget()
    check.read()
    with pytest.raises(RuntimeError, match='meta'):
        LossCheck(optim_wrapper=None, skip=True).accept('a pass', loss, {'loss': loss})


@MODELS.register_module(force=True)
class Counting(ToyClassifier):
    """Has state of its own that nobody registered."""

    calls = 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.calls += 1
        return super().forward(inputs, data_samples, mode)


def test_unregistered_state_is_reported_once(
    make_classifier_runner, hook_config, hook, monkeypatch
):
    """The state is compared around the first pass of the run alone, for that takes time."""
    recorded = []
    monkeypatch.setattr(
        state_check, 'record_state', lambda model: recorded.append(1) or record_state(model)
    )
    runner = make_classifier_runner(
        hook_config(num_subnets=2, **hook), max_iters=3, kind='Counting', log_level='WARNING'
    )
    runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    advice = f"mmst.core.register_state('{Counting.__module__}.Counting', 'calls')"
    assert text.count("A subnet pass changed 'calls' of Counting.") == 1
    assert text.count(advice) == 1
    assert len(recorded) == 2


@MODELS.register_module(force=True)
class Flipping(ToyClassifier):
    """Changes what copies of data samples share with them: lists in the metainfo."""

    def _run_forward(self, data, mode):
        data['data_samples'][0].set_metainfo({'flips': []})
        return super()._run_forward(data, mode)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        data_samples[0].flips.append('horizontal')
        return super().forward(inputs, data_samples, mode)


def test_model_that_changes_the_main_networks_samples_is_refused(
    make_classifier_runner, hook_config, hook
):
    runner = make_classifier_runner(hook_config(**hook), max_iters=2, kind='Flipping')
    with pytest.raises(
        ValueError, match=r"main network's data_samples.*Flipping, which changes flips\. Let"
    ):
        runner.train()
    assert runner.iter == 0


@MODELS.register_module(force=True)
class Averaging(ToyClassifier):
    """Moves parameters in its forward, as models with a momentum encoder."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.head.bias.data.lerp_(torch.ones(5), 0.1)
        return super().forward(inputs, data_samples, mode)


def test_model_that_changes_its_parameters_is_refused(make_classifier_runner, hook_config):
    runner = make_classifier_runner(hook_config(), max_iters=2, kind='Averaging')
    with pytest.raises(
        ValueError, match=r'model must leave its parameters.*Averaging.*: head\.bias \(1 in all\)'
    ):
        runner.train()
    assert runner.iter == 0
