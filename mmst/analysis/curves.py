"""Curves of a training run: the main network's losses beside the subnets'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmst.pyplot import PAGE_WIDTH, curve_style, figure_style, save_figure

from .run_log import SUBNET_PREFIX, Curve, RunLog

__all__ = ['plot_losses']


def plot_losses(log: RunLog, path: str | Path) -> None:
    """Draws one panel for each loss, with the main network's and the subnets' curve.

    Args:
        log: Log of the run.
        path: File to write; its suffix names the format.

    Raises:
        ValueError: The run has logged no loss.
    """
    losses = log.losses()
    names = list(dict.fromkeys(name.removeprefix(SUBNET_PREFIX) for name in losses))
    if not names:
        raise ValueError('a log must hold at least one loss of a training, got none')
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    size = (PAGE_WIDTH * columns / 3, 2 * rows)
    with figure_style('loss curves are') as plt:
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            _plot_panel(axis, name, losses)
        for axis in axes.flat[len(names) :]:
            axis.set_axis_off()
        save_figure(figure, path)


def _plot_panel(axis: Any, name: str, losses: Mapping[str, Curve]) -> None:
    for index, (label, prefix) in enumerate((('main', ''), ('subnets', SUBNET_PREFIX))):
        curve = losses.get(prefix + name)
        if curve:
            style = {**curve_style(index), 'marker': ''}
            axis.plot(*zip(*curve, strict=True), label=label, **style)
    axis.set_title(name)
    axis.set_xlabel('iteration')
    axis.set_ylim(bottom=0)
    axis.legend()
