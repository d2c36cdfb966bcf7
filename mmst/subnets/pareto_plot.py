"""Accuracy against cost of subnets, as a picture and as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmst.pyplot import PAGE_WIDTH, figure_style, import_pyplot, save_figure

from .pareto import Candidate, Metric, pareto_front

__all__ = ['check_matplotlib', 'plot_front', 'write_front_csv']

COSTS = {'flops_ratio': 'FLOPs : whole network', 'latency_ratio': 'latency : whole network'}


def write_front_csv(
    measured: Sequence[Candidate], metric: Metric, chosen: Candidate, path: str | Path
) -> None:
    """Writes a line for each candidate, the cheapest first, and which of them are on the fronts."""
    fronts = {cost: _front(measured, metric, cost) for cost in COSTS}
    with open(path, 'w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ['depths', metric.name, 'parameters', 'flops', 'flops_ratio', 'latency_ms']
            + ['latency_ratio', 'on_flops_front', 'on_latency_front', 'chosen']
        )
        for one in sorted(measured, key=lambda one: one.flops):
            writer.writerow(
                [','.join(map(str, one.depths)), one.metrics.get(metric.name)]
                + [one.parameters, one.flops, f'{one.flops_ratio:.4f}', f'{one.latency_ms:.3f}']
                + [f'{one.latency_ratio:.4f}', *(int(one in front) for front in fronts.values())]
                + [int(one == chosen)]
            )


def plot_front(
    measured: Sequence[Candidate],
    metric: Metric,
    chosen: Candidate,
    path: str | Path,
    title: str = '',
) -> None:
    """Draws the metric against FLOPs and against latency.

    Args:
        measured: The candidates.
        metric: By what they are compared.
        chosen: The one that was chosen.
        path: File to write; its suffix names the format.
        title: What was measured.

    Raises:
        ImportError: matplotlib is missing.
    """
    with figure_style('the front is') as plt:
        figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.2), sharey=True)
        for axis, (cost, label) in zip(axes, COSTS.items(), strict=True):
            _plot_panel(axis, measured, metric, chosen, cost)
            axis.set_xlabel(label)
        axes[0].set_ylabel(metric.name)
        axes[0].legend(loc='lower right')
        if title:
            figure.suptitle(title)
        save_figure(figure, path)


def _plot_panel(
    axis: Any, measured: Sequence[Candidate], metric: Metric, chosen: Candidate, cost: str
) -> None:
    def coordinates(points: Sequence[Candidate]) -> tuple[list[float], list[float]]:
        return [getattr(one, cost) for one in points], [one.metrics[metric.name] for one in points]

    found = [one for one in measured if metric.name in one.metrics]
    axis.scatter(*coordinates(found), s=20, color='0.7', label='subnets')
    front = _front(measured, metric, cost)
    axis.plot(*coordinates(front), 'o-', color='C0', label='front', drawstyle='steps-post')
    axis.plot(*coordinates([chosen]), '*', color='C1', markersize=14, label='chosen')
    for one in front if chosen in front else [*front, chosen]:
        name = ','.join(map(str, one.depths))
        place = (getattr(one, cost), one.metrics[metric.name])
        axis.annotate(name, place, (3, 4), textcoords='offset points', fontsize='x-small')
    axis.margins(x=0.12)  # for the names


def _front(measured: Sequence[Candidate], metric: Metric, cost: str) -> list[Candidate]:
    return pareto_front(measured, metric, lambda one: getattr(one, cost))


def check_matplotlib() -> None:
    """Raises ImportError if matplotlib is missing."""
    import_pyplot('the front is')
