"""The cost of a subnet is counted and measured against the whole network."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmst.core import active_subnet, prune_to_subnet
from mmst.subnets import cost as subnet_cost
from mmst.subnets.cost import CostMeter, count_tensor_mode, measure_latency

torchvision = pytest.importorskip('torchvision')

DEPTHS = (1, 2, 2, 1)


class Net(nn.Module):
    """A classifier of mmengine's kind around torchvision's ResNet-18."""

    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.resnet18(weights=None)
        self.head = nn.Linear(1000, 3)

    def data_preprocessor(self, batch, training):
        assert not training
        return {'inputs': torch.stack(batch), 'data_samples': None}

    def forward(self, inputs, data_samples, mode):
        assert mode == 'tensor' and not self.training
        return self.head(self.backbone(inputs))


class NoTensorMode(Net):
    def forward(self, inputs, data_samples, mode):
        raise NotImplementedError


def make_runner(model):
    loader = SimpleNamespace(collate_fn=list, dataset=[torch.rand(3, 32, 32)])
    return SimpleNamespace(model=model, test_dataloader=loader, cfg={'test_dataloader': {}})


def flops_of(forward):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops()


def test_flops_and_parameters_are_those_of_the_network_built_shallower():
    meter = CostMeter(make_runner(Net()))
    cost = meter.measure(DEPTHS, repeats=1)
    assert meter.counted == 'model'
    full = flops_of(meter.forward), sum(p.numel() for p in meter.model.parameters())
    prune_to_subnet(meter.backbone, DEPTHS)
    small = flops_of(meter.forward), sum(p.numel() for p in meter.model.parameters())
    assert small[0] < full[0] and small[1] < full[1]
    assert cost.flops == (full[0], small[0])
    assert cost.parameters == (full[1], small[1])


def test_without_tensor_mode_the_backbone_is_counted():
    model = NoTensorMode().eval()
    data = {'inputs': torch.rand(1, 3, 32, 32), 'data_samples': None}
    cost, counted = count_tensor_mode(model, model.backbone, data)
    assert counted == 'backbone'
    assert cost.total == flops_of(lambda: model.backbone(data['inputs']))
    meter = CostMeter(make_runner(model))
    assert meter.forward().shape == (1, 1000)


def test_whole_network_and_subnet_are_timed_in_turn(monkeypatch):
    """A machine that gets slower all the time shows the same ratio."""
    clock, slow = [0.0], [1.0]
    backbone = torchvision.models.resnet18(weights=None)
    blocks = []

    def forward():
        kept = len([b for b in backbone.layer1 if type(b).__name__ == 'BasicBlock'])
        blocks.append(kept)
        clock[0] += kept * slow[0]
        slow[0] *= 1.05

    monkeypatch.setattr(subnet_cost.time, 'perf_counter', lambda: clock[0])
    latency = measure_latency(forward, backbone, DEPTHS, repeats=4)
    # A pair to warm up, then pairs in changing order.
    assert blocks == [2, 1, 1, 2, 2, 1, 1, 2, 2, 1]
    assert latency.ratio == pytest.approx(0.5, rel=0.06)
    assert latency.full_ms > 1.5 * latency.subnet_ms > 1500
    with active_subnet(backbone, (2, 2, 2, 2)):
        assert len(backbone.layer1) == 2


@pytest.mark.parametrize(('ms', 'pairs'), [(1, 334), (1000, 10)])
def test_short_runs_are_timed_for_a_second(ms, pairs, monkeypatch):
    backbone = torchvision.models.resnet18(weights=None)
    times = []

    def forward():
        kept = len([b for b in backbone.layer1 if type(b).__name__ == 'BasicBlock'])
        times.append(kept * ms / 1000)

    monkeypatch.setattr(subnet_cost.time, 'perf_counter', lambda: sum(times))
    latency = measure_latency(forward, backbone, (1, 2, 2, 2))
    assert len(times) == 2 * (1 + pairs)
    assert latency.ratio == pytest.approx(0.5)


def test_no_run_is_refused():
    with pytest.raises(ValueError, match=r'--repeats must be at least 1, got 0'):
        measure_latency(lambda: None, torchvision.models.resnet18(weights=None), DEPTHS, 0)


def test_a_preprocessor_that_returns_no_dict_is_refused():
    model = Net()
    model.data_preprocessor = lambda batch, training: torch.stack(batch)
    with pytest.raises(ValueError, match=r'data_preprocessor must return a dict, got Tensor'):
        CostMeter(make_runner(model))
