"""Instruments show what is there."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.autograd.profiler import profile

from mmst.benchmark import step_probes
from mmst.benchmark.step_probes import (
    BlockTime,
    LabelClock,
    Timing,
    count_cost,
    peak_allocated,
    time_call,
)
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


@pytest.fixture
def elapse(monkeypatch):
    """Lets time pass on clocks that stand still otherwise, a quarter of it for the processor."""
    now = [0.0]
    clocks = SimpleNamespace(
        perf_counter=lambda: now[0],
        thread_time=lambda: now[0] / 4,
        process_time=lambda: now[0] / 2,
    )
    monkeypatch.setattr(step_probes, 'time', clocks)

    def elapse(seconds):
        now[0] += seconds

    return elapse


def test_labelled_blocks_are_timed_while_a_clock_watches(elapse):
    clock = LabelClock(CPU)
    with watched_by(clock), labelled('outer'):
        elapse(1)
        for seconds in (2, 4):
            with labelled('inner'):
                elapse(seconds)
    with labelled('later'):
        elapse(8)
    assert clock.take() == {'outer': BlockTime(7, 7 / 4), 'inner': BlockTime(6, 6 / 4)}
    assert clock.take() == {}


def test_labels_are_in_the_profile():
    with profile() as profiler, labelled('outer'), labelled('inner'):
        pass
    assert {'outer', 'inner'} <= {event.name for event in profiler.function_events}


def test_time_is_that_of_the_call(elapse):
    elapse(1)
    assert time_call(lambda: elapse(2), CPU) == Timing(seconds=2, cpu_seconds=1, cuda_bytes=0)
