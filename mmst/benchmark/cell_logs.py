"""Logs of a cell's training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .training_cost import logged_passes

__all__ = ['TrainingLog', 'read_log']

CURVE_POINTS = 20


class TrainingLog:
    """The logged lines of a training, over all its interruptions.

    Args:
        training: Values by iteration.
        validation: Metrics by iteration.
    """

    def __init__(
        self, training: Mapping[int, dict[str, Any]], validation: Mapping[int, dict[str, Any]]
    ) -> None:
        self.training = dict(sorted(training.items()))
        self.validation = dict(sorted(validation.items()))

    def passes(self, stimulated: float) -> float:
        """Passes per iteration, see :func:`~mmst.benchmark.training_cost.logged_passes`."""
        return logged_passes(list(self.training.values()), stimulated)

    @property
    def seconds_per_iter(self) -> float:
        """Mean wall time of an iteration, with the loading of its data."""
        times = [line['time'] for line in self.training.values()]
        return sum(times) / len(times)

    def curve(self, metric: str) -> list[tuple[int, float]]:
        """Iteration and metric of each validation."""
        return [(step, line[metric]) for step, line in self.validation.items() if metric in line]

    def losses(self) -> dict[str, list[tuple[int, float]]]:
        """Iteration and mean since the point before, of each loss: about 20 points."""
        steps = list(self.training)
        size = -(-len(steps) // CURVE_POINTS)
        names = {name for line in self.training.values() for name in line if _is_loss(name)}
        return {
            name: [
                _mean(self.training, steps[i : i + size], name) for i in range(0, len(steps), size)
            ]
            for name in sorted(names)
        }


def read_log(work_dir: Path) -> TrainingLog:
    """Reads what all runs in a work dir have logged; of a repeated iteration the last counts.

    Raises:
        FileNotFoundError: Nothing was logged there.
    """
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'no */vis_data/scalars.json in {work_dir}')
    training: dict[int, dict[str, Any]] = {}
    validation: dict[int, dict[str, Any]] = {}
    for file in files:
        for line in map(json.loads, file.read_text().splitlines()):
            step = line.get('iter', line.get('step'))
            if 'lr' in line:
                training[step] = line
            else:  # metrics of subnets have a line of their own
                validation.setdefault(step, {}).update(line)
    return TrainingLog(training, validation)


def _is_loss(name: str) -> bool:
    return name.rpartition('/')[2].startswith('loss')


def _mean(
    lines: Mapping[int, Mapping[str, Any]], steps: Sequence[int], name: str
) -> tuple[int, float]:
    values = [lines[step][name] for step in steps if name in lines[step]]
    return steps[-1], round(sum(values) / len(values), 5)
