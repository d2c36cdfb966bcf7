"""The figure of network loafing, in the manner of ST++ Fig. 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmst.pyplot import (
    PAGE_WIDTH,
    add_legend,
    curve_style,
    figure_style,
    import_pyplot,
    save_figure,
)

from .loafing import Alone, Loafing

__all__ = ['check_matplotlib', 'plot_loafing']


def plot_loafing(
    networks: Sequence[Loafing], alone: Sequence[Alone], path: str | Path, title: str = ''
) -> None:
    """Draws the metric of all subnets against their number of blocks and their FLOPs.

    Small points are subnets, and a large point is the whole network. A thin line continues at its
    height, so that the distance to it is the gap. Thick lines are means over the subnets with the
    same number of blocks.

    Args:
        networks: At least one, all by the same metric.
        alone: Networks that were trained alone.
        path: File to write; its suffix names the format.
        title: What was evaluated.

    Raises:
        ImportError: matplotlib is missing.
    """
    with figure_style('loafing is') as plt:
        figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.4), sharey=True)
        unit, factor = _flops_unit(max(network.whole.flops for network in networks))
        for index, network in enumerate(networks):
            _plot_network(axes, network, index, factor)
        _plot_alone(axes, alone, networks[0].metric.name, factor)
        axes[0].set_xlabel('residual blocks')
        axes[1].set_xlabel(f'FLOPs of a forward pass ({unit})')
        axes[0].set_ylabel(networks[0].metric.name)
        for axis in axes:
            axis.locator_params('x', nbins=7, integer=axis is axes[0])
        add_legend(figure, *axes[0].get_legend_handles_labels())
        if title:
            figure.suptitle(title)
        save_figure(figure, path)


def _plot_network(axes: Any, network: Loafing, index: int, factor: float) -> None:
    style = curve_style(index)
    color, line = style['color'], style.pop('linestyle')
    whole = network.value(network.whole)
    label = f'{network.label}: loafing {network.loafing:.3g}'
    means = network.by_blocks()
    axes[0].plot(list(means), list(means.values()), linestyle=line, label=label, **style)
    values = [network.value(one) for one in network.subnets]
    costs = (
        ([sum(one.depths) for one in network.subnets], sum(network.whole.depths)),
        ([one.flops * factor for one in network.subnets], network.whole.flops * factor),
    )
    for axis, (xs, x) in zip(axes, costs, strict=True):
        axis.scatter(xs, values, s=14, alpha=0.6, linewidths=0, **style)
        axis.plot(x, whole, markersize=10, markeredgecolor='black', linestyle='none', **style)
        axis.axhline(whole, color=color, linestyle=line, linewidth=0.8, alpha=0.8)


def _plot_alone(axes: Any, alone: Sequence[Alone], metric: str, factor: float) -> None:
    found = sorted(
        (one.network for one in alone if metric in one.network.metrics), key=lambda one: one.flops
    )
    if not found:
        return
    values = [one.metrics[metric] for one in found]
    style = {'color': 'black', 'marker': '*', 'markersize': 9, 'linewidth': 0.8}
    style['linestyle'] = '-'
    axes[0].plot([sum(one.depths) for one in found], values, label='trained alone', **style)
    axes[1].plot([one.flops * factor for one in found], values, **style)


def _flops_unit(most: int) -> tuple[str, float]:
    """Unit in which numbers up to this one are short, and the factor that gives it."""
    return ('GFLOPs', 1e-9) if most >= 1e9 else ('MFLOPs', 1e-6)


def check_matplotlib() -> None:
    """Raises ImportError if matplotlib is missing."""
    import_pyplot('loafing is')
