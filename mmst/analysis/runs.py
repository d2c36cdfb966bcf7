"""Curves of several trainings on common axes: iterations, epochs and computation spent."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .run_log import SUBNET_PREFIX, Curve, RunLog

__all__ = ['LoggedRun', 'RunCurve', 'spent_iterations', 'write_csv']

MAIN, SUBNETS = 'main', 'subnets'

HEADER = ('run', 'network', 'scalar', 'iteration', 'epoch', 'plain_iterations', 'flops', 'value')

NOT_METRICS = {'step', 'time', 'data_time', 'memory'}

WATCHED = re.compile(r'subnet_(\d+(?:_\d+)*)/(.+)')
"""Key of a subnet's metric that ``SubnetEvalHook`` logs."""


@dataclass(frozen=True)
class RunCurve:
    """One scalar of one network of a run.

    Args:
        network: ``'main'``, ``'subnets'`` for those of the training together, or the depths of one
            that was evaluated, e.g. ``'3,3,4,3'``.
        scalar: Name of the metric or loss.
        points: Iterations and values.
    """

    network: str
    scalar: str
    points: Curve


@dataclass(frozen=True)
class LoggedRun:
    """A training that is compared with others.

    Args:
        label: Its name.
        log: What it has logged.
        interval: Iterations from one that trains subnets to the next, as set in the hook.
        flops_per_iter: FLOPs of an iteration of plain training, None if they are not known.
    """

    label: str
    log: RunLog
    interval: int = 1
    flops_per_iter: float | None = None

    def metrics(self) -> list[str]:
        """Names of the whole network's metrics, in the order of the log."""
        names = {name: None for line in self.log.validation.values() for name in line}
        return [name for name in names if name not in NOT_METRICS and not WATCHED.match(name)]

    def metric_curves(self, metric: str) -> list[RunCurve]:
        """Curves of a metric: of the main network, and of each subnet that was evaluated."""
        curves = [RunCurve(MAIN, metric, self.log.metric(metric))]
        keys = {name: None for line in self.log.validation.values() for name in line}
        for found in filter(None, map(WATCHED.fullmatch, keys)):
            if found[2] == metric:
                depths = found[1].replace('_', ',')
                curves.append(RunCurve(depths, metric, self.log.metric(found[0])))
        return [curve for curve in curves if curve.points]

    def loss_curves(self, loss: str) -> list[RunCurve]:
        """Curves of a loss: of the main network, and of the subnets of the training."""
        losses = self.log.losses()
        names = {MAIN: loss, SUBNETS: SUBNET_PREFIX + loss}
        return [RunCurve(key, loss, losses[name]) for key, name in names.items() if name in losses]

    def epochs(self, steps: Sequence[float]) -> list[float] | None:
        """Turns iterations into epochs; None for a training that does not count them."""
        length = self.log.epoch_length
        return None if length is None else [step / length for step in steps]


def spent_iterations(run: LoggedRun) -> Callable[[Sequence[float]], list[float]]:
    """Returns a function from iterations to the computation spent by then.

    The unit is an iteration of plain training on images of full size. From one logged line to the
    next, each iteration costs ``main/area`` (1 without it) and, in one of ``interval`` iterations,
    the logged ``subnet/cost``.

    Raises:
        ValueError: The run has logged no iteration, or subnets whose cost could not be counted.
    """
    ends, totals = [0.0], [0.0]
    for step, line in run.log.training.items():
        if f'{SUBNET_PREFIX}loss' in line and f'{SUBNET_PREFIX}cost' not in line:
            raise ValueError(
                f'the run {run.label} must have logged subnet/cost beside subnet/loss, got none at '
                f'iteration {step}: the FLOPs of its network could not be counted. Draw it with '
                '--against epochs'
            )
        rate = line.get('main/area', 1.0) + line.get(f'{SUBNET_PREFIX}cost', 0.0) / run.interval
        totals.append(totals[-1] + (step - ends[-1]) * rate)
        ends.append(step)
    if len(ends) == 1:
        raise ValueError(f'the run {run.label} must have logged an iteration, got none')

    def spent(steps: Sequence[float]) -> list[float]:
        after = [max(0.0, step - ends[-1]) * rate for step in steps]  # at the last rate
        return (np.interp(steps, ends, totals) + after).tolist()

    return spent


def write_csv(
    curves: Sequence[tuple[LoggedRun, RunCurve]], file: str | Path, *, with_cost: bool = True
) -> None:
    """Writes a line for each point of each curve.

    Args:
        curves: Curves, each with its run.
        file: File to write.
        with_cost: Whether the computation spent is written; its columns are empty otherwise.

    Raises:
        ValueError: The cost of a run is not known, see :func:`spent_iterations`.
    """
    with open(file, 'w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for run, curve in curves:
            steps, values = zip(*curve.points, strict=True)
            nothing = [None] * len(steps)
            spent = spent_iterations(run)(steps) if with_cost else []
            one = run.flops_per_iter
            flops = [] if one is None else [cost * one for cost in spent]
            columns = (
                steps,
                run.epochs(steps) or nothing,
                spent or nothing,
                flops or nothing,
                values,
            )
            for row in zip(*columns, strict=True):
                writer.writerow([run.label, curve.network, curve.scalar, *row])
