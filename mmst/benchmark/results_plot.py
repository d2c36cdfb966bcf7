"""The results of a grid as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from os import PathLike
from typing import Any

from mmst.pyplot import PAGE_WIDTH, add_legend, curve_style, figure_style, save_figure

from .grid import Grid
from .results import ArmResults

__all__ = ['plot_results']


def plot_results(grid: Grid, results: Mapping[str, ArmResults], path: str | PathLike[str]) -> None:
    """Draws every seed of each arm, and mean ± standard deviation, over training FLOPs.

    Args:
        grid: The grid.
        results: Its results; an arm without any is left out.
        path: File to write; its suffix names the format.

    Raises:
        ImportError: matplotlib is missing.
    """
    with figure_style('the picture of a grid is') as plt:
        figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 3.2))
        for number, arm in enumerate(grid.arms):
            own = results[arm.name]
            if own.metric:
                label = f'{arm.label}, {len(own.metric)} of {len(grid.seeds)} seeds'
                _plot_arm(axis, own, number, label)
        axis.set_xlabel('training FLOPs [T]')
        axis.set_ylabel(f'test {grid.metric}')
        if axis.has_data():
            add_legend(figure, *axis.get_legend_handles_labels())
        save_figure(figure, path)


def _plot_arm(axis: Any, arm: ArmResults, number: int, label: str) -> None:
    values = list(arm.metric.values())
    flops = [arm.flops[seed] / 1e12 for seed in arm.metric]
    style = {**curve_style(number), 'linestyle': 'none'}
    axis.plot(flops, values, alpha=0.5, markersize=3, **{**style, 'marker': '.'})
    axis.errorbar(
        statistics.mean(flops),
        statistics.mean(values),
        statistics.stdev(values) if len(values) > 1 else None,
        markersize=6,
        label=label,
        **style,
    )
