"""The figure of the magnitude of logits, in the manner of ST++ Fig. 4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmst.pyplot import PAGE_WIDTH, add_legend, curve_style, figure_style, save_figure

from .logit_statistics import LogitStatistics

__all__ = ['plot_logits']

BINS = 40


def plot_logits(statistics: Sequence[LogitStatistics], path: str | Path, title: str = '') -> None:
    """Draws how the magnitude and the scale of logits are distributed over the images.

    Args:
        statistics: Networks and subnets, at least one.
        path: File to write; its suffix names the format. An SVG is written beside it.
        title: What was evaluated.

    Raises:
        ImportError: matplotlib is missing.
    """
    panels = (
        ('L2 norm of the logits', [one.magnitudes.numpy() for one in statistics]),
        ('standard deviation over the classes', [one.scales.numpy() for one in statistics]),
    )
    with figure_style('logits are') as plt:
        figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.0))
        for axis, (name, columns) in zip(axes, panels, strict=True):
            edges = np.histogram_bin_edges(np.concatenate(columns), BINS)
            for index, (one, values) in enumerate(zip(statistics, columns, strict=True)):
                share = np.histogram(values, edges)[0] * 100 / len(values)
                style = {key: curve_style(index)[key] for key in ('color', 'linestyle')}
                label = f'{one.label}, {one.depths_text}'
                axis.stairs(share, edges, label=label, linewidth=1.5, **style)
            axis.set_xlabel(name)
        axes[0].set_ylabel('images (%)')
        add_legend(figure, *axes[0].get_legend_handles_labels())
        if title:
            figure.suptitle(title)
        save_figure(figure, path)
