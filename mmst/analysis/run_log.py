"""The scalars that a training has logged, over all its interruptions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmst.engine.pass_scalars import PREFIX

__all__ = ['SUBNET_PREFIX', 'Curve', 'RunLog', 'read_run_log']

SUBNET_PREFIX = PREFIX.removeprefix('train/')
"""Start of the names of the subnets' scalars: mmengine's logs leave out the mode."""

Curve = list[tuple[int, float]]
"""Iterations and values."""

Lines = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class RunLog:
    """Logged lines of a training.

    Attributes:
        training: Values by iteration, in ascending order.
        validation: Metrics by iteration, in ascending order.
        epoch_length: Iterations of an epoch, None for a training that does not count epochs.
    """

    training: Lines
    validation: Lines
    epoch_length: int | None = None

    def losses(self) -> dict[str, Curve]:
        """Curve of each loss by name; a subnet's begins with :data:`SUBNET_PREFIX`.

        mmengine adds up all values of a model whose names contain ``loss``, e.g.
        ``'decode.loss_ce'``.
        """
        names = {name: None for line in self.training.values() for name in line if 'loss' in name}
        return {name: _curve(self.training, name) for name in names}

    def metric(self, name: str) -> Curve:
        """Curve of a metric of the validations that have it."""
        return _curve(self.validation, name)

    def passes(self, stimulated: float) -> float:
        """Passes per iteration, in those of the main network on images of full size.

        Args:
            stimulated: Part of the iterations that trained subnets; the others repeat the last
                cost.
        """
        lines = self.training.values()
        areas = [line.get('main/area', 1.0) for line in lines]
        name = f'{SUBNET_PREFIX}cost'
        costs = [line[name] for line in lines if name in line]
        subnets = stimulated * sum(costs) / len(costs) if costs else 0.0
        return sum(areas) / len(areas) + subnets

    @property
    def seconds_per_iter(self) -> float:
        """Mean wall time of an iteration, with the loading of its data."""
        times = [line['time'] for line in self.training.values()]
        return sum(times) / len(times)


def read_run_log(work_dir: str | Path) -> RunLog:
    """Reads what all runs in a work dir have logged.

    A run that continues or repeats another replaces its lines from its own first iteration on.

    Args:
        work_dir: Work dir of mmengine, whose visualizer has a ``LocalVisBackend``.

    Raises:
        FileNotFoundError: Nothing was logged there.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'no */vis_data/scalars.json in {work_dir}; give the work dir of a run whose '
            "visualizer has dict(type='LocalVisBackend') among its vis_backends"
        )
    lines = _without_repeats([_read_lines(file) for file in files])
    epoch_length = _epoch_length([line for line in lines if 'iter' in line])
    training: Lines = {}
    validation: Lines = {}
    for line in lines:
        if 'iter' in line:
            training[line['iter']] = line
        else:
            validation.setdefault(line['step'] * (epoch_length or 1), {}).update(line)
    return RunLog(training, validation, epoch_length)


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """Lines of a file, without the last one if a kill has cut it off."""
    return [json.loads(line) for line in file.read_text().split('\n')[:-1]]


def _without_repeats(runs: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Lines of successive runs."""
    kept: list[dict[str, Any]] = []
    for run in runs:
        first = next((line['iter'] for line in run if 'iter' in line), math.inf)
        end = (i for i, line in enumerate(kept) if line.get('iter', 0) >= first)
        del kept[next(end, len(kept)) :]
        kept += run
    return kept


def _epoch_length(lines: Sequence[Mapping[str, Any]]) -> int | None:
    """Iterations of an epoch: the steps of validations are epochs where training lines have them.

    mmengine logs the same iterations of each epoch, so the first ones are an epoch apart. Of a
    single epoch the last logged iteration is taken.
    """
    first: dict[int, int] = {}
    for line in lines:
        if 'epoch' in line:
            first[line['epoch']] = min(line['iter'], first.get(line['epoch'], line['iter']))
    if not first:
        return None
    start, end = min(first), max(first)
    if start == end:
        return max(line['iter'] for line in lines) // end
    return (first[end] - first[start]) // (end - start)


def _curve(lines: Lines, name: str) -> Curve:
    return [(step, line[name]) for step, line in lines.items() if name in line]
