"""The parts of a stimulated iteration by name, for torch's profiler and for a clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch.profiler import record_function

__all__ = ['BACKWARD', 'BATCH', 'FORWARD', 'IMAGES', 'LABELS', 'SUBNETS', 'labelled', 'watched_by']

SUBNETS = 'mmst.subnets'
"""All that subnets add to a forward of the main network."""
BATCH = 'mmst.subnets.batch'
"""Making the batch of a subnet."""
IMAGES = 'mmst.subnets.batch.images'
"""Resizing its images."""
FORWARD = 'mmst.subnets.forward'
BACKWARD = 'mmst.subnets.backward'
LABELS = (SUBNETS, BATCH, IMAGES, FORWARD, BACKWARD)


class Clock(Protocol):
    """Takes the times of labelled blocks."""

    def now(self) -> Any:
        """Returns the time."""

    def add(self, label: str, start: Any) -> None:
        """Adds a block that ends now."""


_clocks: list[Clock] = []


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Names a block in torch's profiler, and gives its time to the active clock."""
    # Without a profiler, recording takes 0.1 ms after a forward has filled the caches.
    is_profiled = torch.autograd._profiler_enabled()
    clock = _clocks[-1] if _clocks else None
    start = clock.now() if clock else None
    try:
        with record_function(label) if is_profiled else nullcontext():
            yield
    finally:
        if clock:
            clock.add(label, start)


@contextmanager
def watched_by(clock: Clock) -> Iterator[None]:
    """Activates a clock for the labelled blocks within the context."""
    _clocks.append(clock)
    try:
        yield
    finally:
        _clocks.remove(clock)
