"""Instruments show what is there."""

import time
import types

import pytest
import torch
from torch import nn

from mmst.benchmark.step_probes import CallTimer, count_cost, peak_allocated, time_call

CPU = torch.device('cpu')


def test_peak_is_the_most_alive_at_a_time():
    def allocate():
        first = torch.empty(1000, 1000)  # 4 MB
        second = torch.empty(500, 1000)  # 2 MB
        del first
        third = torch.empty(750, 1000)  # 3 MB
        return second, third

    assert peak_allocated(allocate) == 6_000_000
    assert peak_allocated(allocate) == 6_000_000
    assert peak_allocated(lambda: None) == 0


def test_cost_holds_model_and_optimiser_once():
    model = nn.Linear(100, 10, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    model(torch.ones(1, 100)).sum().backward()
    optimizer.step()
    images = torch.ones(5, 100)

    def iteration():
        with torch.no_grad():
            model(images)

    cost = count_cost(iteration, model, optimizer, count_memory=True)
    weight, output = 100 * 10 * 4, 5 * 10 * 4
    assert cost.peak_bytes == 3 * weight + output  # parameter, gradient, momentum
    assert cost.flops == 2 * 5 * 100 * 10
    assert count_cost(iteration, model, optimizer, count_memory=False).peak_bytes == 0


def test_backward_is_counted():
    model = nn.Linear(100, 10, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    cost = count_cost(
        lambda: model(torch.ones(5, 100)).sum().backward(), model, optimizer, count_memory=True
    )
    assert cost.flops == 2 * (2 * 5 * 100 * 10)  # the input needs no gradient


def test_calls_are_timed_and_the_function_is_put_back():
    module = types.ModuleType('module')
    original = module.work = lambda seconds: time.sleep(seconds)
    timer = CallTimer(CPU)
    with timer.watch(module, 'work'):
        module.work(0.01)
        module.work(0.02)
    assert module.work is original
    assert 0.03 <= timer.take('work') < 1
    assert timer.take('work') == 0

    with pytest.raises(TypeError), timer.watch(module, 'work'):
        module.work(None)
    assert module.work is original
    with pytest.raises(AttributeError, match='rest'), timer.watch(module, 'rest'):
        pass


def test_time_is_that_of_the_call():
    timing = time_call(lambda: time.sleep(0.05), CPU)
    assert 0.05 <= timing.seconds < 1
    assert timing.cpu_seconds < timing.seconds
    assert timing.cuda_bytes == 0
