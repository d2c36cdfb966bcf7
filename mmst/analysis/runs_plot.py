"""The figure of several trainings against epochs and computation, in the manner of ST++ Fig. 9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmst.pyplot import PAGE_WIDTH, add_legend, curve_style, figure_style, save_figure

from .runs import MAIN, SUBNETS, LoggedRun, RunCurve, spent_iterations

__all__ = ['EPOCHS', 'FLOPS', 'plot_runs']

EPOCHS, FLOPS = 'epochs', 'flops'

UNITS = (('E', 1e-18), ('P', 1e-15), ('T', 1e-12), ('G', 1e-9), ('M', 1e-6))

Positions = Callable[[Sequence[float]], Sequence[float]]
"""From iterations to places on the horizontal axis."""


@dataclass(frozen=True)
class Axis:
    """A horizontal axis.

    Args:
        label: Its name and unit.
        positions: For each run.
    """

    label: str
    positions: Sequence[Positions]


def plot_runs(
    runs: Sequence[LoggedRun],
    metric: str | None,
    losses: Sequence[str],
    path: str | Path,
    against: Sequence[str] = (EPOCHS, FLOPS),
) -> None:
    """Draws a row of panels for the metric and for each loss.

    Args:
        runs: At least one.
        metric: Name of the metric, None to draw losses alone.
        losses: Names of losses.
        path: File to write, and beside it the same as SVG.
        against: The column of each row. ``'epochs'`` are iterations if a run counts no epochs.
            ``'flops'`` are iterations of plain training if the FLOPs of a run are not known.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: The cost of a run is not known, see
            :func:`~mmst.analysis.runs.spent_iterations`.
    """
    rows = [*([] if metric is None else [(metric, True)]), *((loss, False) for loss in losses)]
    axes = [_epoch_axis(runs) if kind == EPOCHS else _cost_axis(runs) for kind in against]
    width = PAGE_WIDTH if len(axes) > 1 else 0.66 * PAGE_WIDTH
    with figure_style('curves of runs are') as plt:
        figure, panels = plt.subplots(
            len(rows), len(axes), figsize=(width, 2.4 * len(rows)), squeeze=False, sharey='row'
        )
        for (name, is_metric), row in zip(rows, panels, strict=True):
            for axis, panel in zip(axes, row, strict=True):
                for index, run in enumerate(runs):
                    curves = run.metric_curves(name) if is_metric else run.loss_curves(name)
                    _plot_run(panel, curves, index, run.label, axis, is_metric=is_metric)
                panel.set_xlabel(axis.label)
            row[0].set_ylabel(name if is_metric else f'training {name}')
        legend = dict(_legend(panels[:, 0]))
        add_legend(figure, list(legend.values()), list(legend))
        save_figure(figure, path)


def _epoch_axis(runs: Sequence[LoggedRun]) -> Axis:
    if any(run.log.epoch_length is None for run in runs):
        return Axis('iteration', [list for _ in runs])
    return Axis('epoch', [_scaled(list, 1 / (run.log.epoch_length or 1)) for run in runs])


def _cost_axis(runs: Sequence[LoggedRun]) -> Axis:
    spent = [spent_iterations(run) for run in runs]
    flops = [run.flops_per_iter for run in runs if run.flops_per_iter is not None]
    if len(flops) < len(runs):
        return Axis('training cost (iterations of plain training)', spent)
    most = max(
        one(list(run.log.training))[-1] * (run.flops_per_iter or 0)
        for one, run in zip(spent, runs, strict=True)
    )
    unit, factor = next((one for one in UNITS if most * one[1] >= 1), UNITS[-1])
    return Axis(
        f'training FLOPs ({unit}FLOPs)',
        [_scaled(one, factor * each) for one, each in zip(spent, flops, strict=True)],
    )


def _scaled(positions: Positions, factor: float) -> Positions:
    return lambda steps: [factor * position for position in positions(steps)]


def _plot_run(
    panel: Any, curves: Sequence[RunCurve], index: int, label: str, axis: Axis, *, is_metric: bool
) -> None:
    """Draws the main network with the line of the run, its subnets thin and hollow."""
    style = curve_style(index)
    for number, curve in enumerate(curves):
        steps, values = zip(*curve.points, strict=True)
        own = {**style, 'label': _label(label, curve)}
        if not is_metric:
            own['marker'] = ''
        if curve.network != MAIN:
            own.update(linewidth=0.8, linestyle=':', markerfacecolor='white')
            own['marker'] = curve_style(index + (number if is_metric else 0))['marker']
            own['markevery'] = max(1, len(steps) // 10)
        panel.plot(axis.positions[index](steps), values, **own)


def _label(run: str, curve: RunCurve) -> str:
    if curve.network == MAIN:
        return run
    if curve.network == SUBNETS:
        return f'{run}, subnets'
    return f'{run}, subnet {curve.network}'


def _legend(panels: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Names and lines of all panels; of the same names the first, which has a marker."""
    seen = set()
    for panel in panels:
        for line, name in zip(*panel.get_legend_handles_labels(), strict=True):
            if name not in seen:
                seen.add(name)
                yield name, line
