"""Instruments: clocks, counters of FLOPs, of memory and of the time spent in a labelled block."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.autograd import DeviceType
from torch.autograd.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

__all__ = ['BlockTime', 'Cost', 'LabelClock', 'Timing', 'count_cost', 'peak_allocated', 'time_call']


@dataclass(frozen=True)
class Cost:
    """Cost of an iteration besides time.

    Args:
        flops: Counted floating-point operations, forward and backward.
        peak_bytes: Most bytes of tensors alive at a time, the model's and the optimiser's included.
    """

    flops: int
    peak_bytes: int


@dataclass(frozen=True)
class Timing:
    """Duration of a call.

    Args:
        seconds: Until all its work was done, on the device too.
        cpu_seconds: Processor time of all threads of the process.
        cuda_bytes: Peak of allocated bytes on the CUDA device, 0 on others.
    """

    seconds: float
    cpu_seconds: float
    cuda_bytes: int


def time_call(function: Callable[[], None], device: torch.device) -> Timing:
    """Runs a function and takes its time."""
    on_cuda = device.type == 'cuda'
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    function()
    if on_cuda:
        torch.cuda.synchronize(device)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Timing(seconds, cpu_seconds, torch.cuda.max_memory_allocated(device) if on_cuda else 0)


def count_cost(
    function: Callable[[], None],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    count_memory: bool,
) -> Cost:
    """Runs a function once more for counting; this is slower than without.

    Args:
        function: A training iteration.
        model: Its model, whose tensors are alive already.
        optimizer: Its optimiser, likewise.
        count_memory: Whether CPU memory is counted; else ``peak_bytes`` is 0.
    """
    flops = FlopCounterMode(display=False)
    if not count_memory:
        with flops:
            function()
        return Cost(flops.get_total_flops(), 0)
    alive = _alive_bytes(model, optimizer)

    def counted() -> None:
        with flops:
            function()

    peak = peak_allocated(counted)
    return Cost(flops.get_total_flops(), alive + peak)


def peak_allocated(function: Callable[[], Any]) -> int:
    """Most bytes of CPU tensors alive at a time among those that a function allocates.

    It is the sum of the allocations and deallocations of torch's CPU allocator, in their order, as
    the profiler records them: the same number in each run, to within a few scalars.
    ``torch.distributed._tools`` has a ``MemTracker`` for this, which fails on models with frozen
    parameters (torch 2.11).
    """
    # torch.profiler is a shell around this class, and keeps its raw events in a private place.
    with profile(profile_memory=True) as profiler:
        function()
    events = profiler.kineto_results.events()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in events
        if event.name() == '[memory]' and event.device_type() == DeviceType.CPU
    ]
    alive = peak = 0
    for _, change in sorted(changes, key=lambda entry: entry[0]):
        alive += change
        peak = max(peak, alive)
    return peak


def _alive_bytes(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of parameters, buffers, gradients and states, each storage once."""
    parameters = list(model.parameters())
    tensors = [*parameters, *model.buffers(), *(p.grad for p in parameters)]
    for state in optimizer.state.values():
        tensors += state.values()
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in tensors
        if isinstance(tensor, torch.Tensor)
    }
    return sum(storages.values())


@dataclass(frozen=True)
class BlockTime:
    """Duration of the blocks with a label.

    Args:
        seconds: Duration.
        host_seconds: Processor time of the thread that ran them.
    """

    seconds: float = 0.0
    host_seconds: float = 0.0


@dataclass
class LabelClock:
    """Adds up the times of labelled blocks, see :func:`mmst.engine.labels.labelled`.

    On a CUDA device durations are those of the stream, by events, without synchronising.

    Args:
        device: The device that is computed on.
    """

    device: torch.device
    _spans: list[tuple[str, Any, Any]] = field(default_factory=list, init=False)

    def now(self) -> tuple[Any, float]:
        """Returns the time, or an event that will know it, and the processor time of the thread."""
        if self.device.type != 'cuda':
            return time.perf_counter(), time.thread_time()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event, time.thread_time()

    def add(self, label: str, start: tuple[Any, float]) -> None:
        """Adds a block that ends now."""
        self._spans.append((label, start, self.now()))

    def take(self) -> dict[str, BlockTime]:
        """Returns the times by label, and forgets them.

        On a CUDA device its work must be done: synchronise before.
        """
        times: dict[str, BlockTime] = {}
        for label, (start, host_start), (end, host_end) in self._spans:
            on_host = isinstance(start, float)
            seconds = end - start if on_host else start.elapsed_time(end) / 1000
            before = times.get(label, BlockTime())
            times[label] = BlockTime(
                before.seconds + seconds, before.host_seconds + host_end - host_start
            )
        self._spans = []
        return times
