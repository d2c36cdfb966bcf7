"""The results of a grid as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from os import PathLike

from mmst.pyplot import import_pyplot

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
    plt = import_pyplot('the picture of a grid is')
    figure, axis = plt.subplots(figsize=(8, 4.2), layout='constrained')
    for number, arm in enumerate(grid.arms):
        own = results[arm.name]
        values = list(own.metric.values())
        if not values:
            continue
        flops = [own.flops[seed] / 1e12 for seed in own.metric]
        color = f'C{number}'
        axis.plot(flops, values, '.', color=color, alpha=0.5)
        axis.errorbar(
            statistics.mean(flops),
            statistics.mean(values),
            statistics.stdev(values) if len(values) > 1 else None,
            fmt='o',
            capsize=4,
            color=color,
            label=f'{arm.label}, {len(values)} of {len(grid.seeds)} seeds',
        )
    axis.set_xlabel('training FLOPs [T]')
    axis.set_ylabel(f'test {grid.metric}')
    axis.grid(alpha=0.3)
    if axis.has_data():
        axis.legend(fontsize='x-small', loc='center left', bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)
    plt.close(figure)
