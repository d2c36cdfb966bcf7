"""Instruments show what is there."""

import time

import torch
from torch import nn
from torch.autograd.profiler import profile

from mmst.benchmark.step_probes import LabelClock, count_cost, peak_allocated, time_call
from mmst.engine.labels import labelled, watched_by

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


def test_labelled_blocks_are_timed_while_a_clock_watches():
    clock = LabelClock(CPU)
    with watched_by(clock), labelled('outer'):
        time.sleep(0.01)
        for _ in range(2):
            with labelled('inner'):
                time.sleep(0.01)
    with labelled('later'):
        pass
    times = clock.take()
    assert set(times) == {'outer', 'inner'}
    assert 0.02 <= times['inner'].seconds <= times['outer'].seconds - 0.01 < 1
    assert 0 < times['inner'].host_seconds < times['outer'].host_seconds < 0.02
    assert clock.take() == {}


def test_labels_are_in_the_profile():
    with profile() as profiler, labelled('outer'), labelled('inner'):
        pass
    assert {'outer', 'inner'} <= {event.name for event in profiler.function_events}


def test_time_is_that_of_the_call():
    timing = time_call(lambda: time.sleep(0.05), CPU)
    assert 0.05 <= timing.seconds < 1
    assert timing.cpu_seconds < timing.seconds
    assert timing.cuda_bytes == 0
