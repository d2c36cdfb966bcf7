"""The main network's backward at once: the same gradients, and a step that must want them."""

import gc

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from torch import nn
from toy_classifier import ToyClassifier

from mmst.benchmark.step_probes import peak_allocated
from mmst.engine.main_backward import MainBackward


class Losses(BaseModel):
    """Parameters that are shared, frozen, hooked or not used, and one of parse_losses alone.

    One loss is of a gradient.
    """

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.frozen, self.unused = (nn.Linear(3, 3) for _ in range(3))
        self.frozen.requires_grad_(False)
        self.masked = nn.Parameter(torch.randn(3))
        self.log_variance = nn.Parameter(torch.tensor(0.3))
        self.double()
        self.masked.register_hook(lambda gradient: gradient * gradient.new_tensor([1, 0, 1]))

    def forward(self, inputs):
        features = self.shared(self.frozen(self.shared(inputs))) * self.masked
        parts = [features.square(), features[:, :1].sin().mean()]
        (slope,) = torch.autograd.grad(features.sum(), self.shared.weight, create_graph=True)
        losses = {'loss_slope': slope.square().mean(), 'loss': features.abs().mean()}
        return {'loss_parts': parts, **losses, 'seen': features.mean()}

    def parse_losses(self, losses):
        total, values = super().parse_losses(losses)
        return total * torch.exp(-self.log_variance) + self.log_variance, values


class ScalingWrapper(OptimWrapper):
    class loss_scaler:
        scale = staticmethod(lambda loss: loss * 1024)


def test_gradients_and_values_are_those_of_the_backward_alone():
    """Two batches are accumulated; in float64."""
    gradients, values = [], []
    for is_early in (False, True):
        model = Losses()
        wrapper = ScalingWrapper(torch.optim.SGD(model.parameters(), 0.1), accumulative_counts=2)
        backward = MainBackward(model, wrapper)
        for batch in torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.manual_seed(1)):
            losses = model(batch)
            if is_early:
                losses = backward.run(losses)
            total, logged = model.parse_losses(losses)
            wrapper.loss_scaler.scale(wrapper.scale_loss(total)).backward()
            wrapper._inner_count += 1
            backward.check_received(0)
            values.append({name: value.item() for name, value in logged.items()})
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert values[:2] == values[2:]
    without = {name for name, gradient in gradients[0].items() if gradient is None}
    assert {name.partition('.')[0] for name in without} == {'frozen', 'unused'}
    assert gradients[0]['masked'][1] == 0 != gradients[0]['masked'][0]
    for name, expected in gradients[0].items():
        if name in without:
            assert gradients[1][name] is None, name
        else:
            torch.testing.assert_close(gradients[1][name], expected, rtol=1e-13, atol=0, msg=name)


class OwnStep(ToyClassifier):
    """Takes the steps of BaseModel.train_step itself."""

    def train_step(self, data, optim_wrapper):
        with optim_wrapper.optim_context(self):
            losses = self._run_forward(self.data_preprocessor(data, True), mode='loss')
        loss, values = self.parse_losses(losses)
        self.update(loss, optim_wrapper)
        return values

    def update(self, loss, optim_wrapper):
        optim_wrapper.update_params(loss)


@MODELS.register_module(force=True)
class Halving(OwnStep):
    def update(self, loss, optim_wrapper):
        optim_wrapper.update_params(loss / 2)


@MODELS.register_module(force=True)
class Repeating(OwnStep):
    def update(self, loss, optim_wrapper):
        loss.backward(retain_graph=True)
        optim_wrapper.update_params(loss)


@MODELS.register_module(force=True)
class Differentiating(OwnStep):
    def update(self, loss, optim_wrapper):
        loss.backward(create_graph=True)


@MODELS.register_module(force=True)
class Omitting(OwnStep):
    def update(self, loss, optim_wrapper):
        pass


MODELS.register_module(module=OwnStep, force=True)


@pytest.mark.filterwarnings('ignore:Using backward')
@pytest.mark.parametrize(
    ('kind', 'got'),
    [
        (Halving, 'one of another sum of the losses, or with another scale'),
        (Repeating, 'a second one'),
        (Differentiating, 'one with create_graph=True'),
        (Omitting, 'none in iteration 0'),
    ],
)
def test_step_that_wants_other_gradients_is_refused(make_classifier_runner, hook_config, kind, got):
    hook = hook_config(order='main_first')
    runner = make_classifier_runner(hook, max_iters=2, kind=kind.__name__)
    before = [parameter.detach().clone() for parameter in runner.model.parameters()]
    message = f'train_step of {kind.__name__} must run one backward.*got {got}. Set order='
    with pytest.raises(RuntimeError, match=message):
        runner.train()
    assert runner.iter == 0
    for parameter, value in zip(runner.model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


LOGITS = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLMinusLoss'}}


@pytest.mark.parametrize(
    ('kind', 'settings', 'is_early'),
    [
        (ToyClassifier, {'supervision': LOGITS}, True),
        (ToyClassifier, {'supervision': LOGITS, 'order': 'subnets_first'}, False),
        (ToyClassifier, {}, False),
        (ToyClassifier, {'order': 'main_first'}, True),
        (OwnStep, {'supervision': LOGITS}, False),
        (OwnStep, {'supervision': LOGITS, 'order': 'main_first'}, True),
    ],
)
def test_order_is_that_of_the_setting_or_of_the_supervision(
    make_classifier_runner, hook_config, monkeypatch, kind, settings, is_early
):
    runs = []
    run = MainBackward.run
    monkeypatch.setattr(MainBackward, 'run', lambda *args: runs.append(1) or run(*args))
    hook = hook_config(**settings)
    make_classifier_runner(hook, max_iters=2, kind=kind.__name__).train()
    assert len(runs) == (2 if is_early else 0)


def test_graph_of_the_main_network_does_not_wait_for_subnets(make_classifier_runner, hook_config):
    """Peak memory of runs whose activations outweigh gradients and images; subnets at full size."""
    arms = {'plain': None}
    for order in ('main_first', 'subnets_first'):
        changes = {'supervision': LOGITS, 'inputs': None, 'num_subnets': 3, 'order': order}
        arms[order] = hook_config(**changes)
    peaks = {}
    for name, hook in arms.items():
        runner = make_classifier_runner(hook, max_iters=1, batch_size=24, length=24)
        gc.collect()
        peaks[name] = peak_allocated(runner.train)
    assert peaks['main_first'] < 1.05 * peaks['plain']
    assert peaks['subnets_first'] > 1.4 * peaks['plain']
