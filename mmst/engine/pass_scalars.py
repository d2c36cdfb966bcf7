"""The scalars that the subnet passes of an iteration publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmengine.logging import MessageHub
from torch import Tensor

from mmst.core import DepthCost

from .inputs import RandomSmallerInput
from .main_forward import MainCall
from .subnet_pass import SubnetPass

__all__ = ['PREFIX', 'PassScalars', 'published_counts']

PREFIX = 'train/subnet/'
"""Start of the names of scalars on the message hub."""


@dataclass
class PassScalars:
    """Collects the values of an iteration's passes.

    Args:
        counts: Passes so far in this run that were ``'skipped'``, or whose size was one of
            ``'size_fallbacks'``. Goes on counting.
        cost: FLOPs of the backbone, None if they could not be counted.
        inputs: Rule of the passes' input size.
        others: Further scalars of the iteration.
    """

    counts: Counter[str]
    cost: DepthCost | None
    inputs: RandomSmallerInput | None
    others: Mapping[str, float]
    _values: dict[str, list[Tensor | float]] = field(default_factory=dict, init=False)
    _cost_sum: float = field(default=0.0, init=False)

    def add(self, subnet_pass: SubnetPass, main: MainCall) -> None:
        """Adds a pass beside a forward of the main network."""
        batch, values = subnet_pass.batch, subnet_pass.values
        if batch is None or values is None:
            self.counts['skipped'] += 1
            return
        if self.inputs is not None and self.inputs.is_fallback(batch.image_hw):
            self.counts['size_fallbacks'] += 1
        scalars: dict[str, Tensor | float] = {**values, 'size': float(min(batch.image_hw))}
        for stage, depth in enumerate(subnet_pass.subnet.depths, start=1):
            scalars[f'depth_{stage}'] = float(depth)
        for name, value in scalars.items():
            self._values.setdefault(name, []).append(value)
        if self.cost is not None:
            ratio = self.cost.ratio(subnet_pass.subnet)
            self._cost_sum += ratio * _pixels(batch.inputs) / _pixels(main.inputs)

    def read(self) -> dict[str, float]:
        """Returns means over the passes, their cost, the other scalars and the counts, by name.

        The host waits for the device.
        """
        means = {
            name: sum(map(float, values)) / len(values) for name, values in self._values.items()
        }
        cost = {} if self.cost is None else {'cost': self._cost_sum}
        return {**means, **cost, **self.others, **{n: float(c) for n, c in self.counts.items()}}


def published_counts(hub: MessageHub) -> dict[str, int]:
    """Returns the counts that a run has published last, without those that are 0."""
    buffers = {name: hub.log_scalars.get(PREFIX + name) for name in ('skipped', 'size_fallbacks')}
    counts = {name: int(buffer.current()) for name, buffer in buffers.items() if buffer}
    return {name: count for name, count in counts.items() if count}


def _pixels(inputs: Tensor) -> int:
    return inputs.shape[0] * inputs.shape[-2] * inputs.shape[-1]
