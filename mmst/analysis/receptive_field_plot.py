"""Heat maps of effective receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from mmst.pyplot import figure_style, save_figure

from .receptive_field import THRESHOLDS, ReceptiveField, area_ratio, square_side

__all__ = ['plot_receptive_fields']

LEAST = 0.01
"""Contributions below this part of the mean look like none."""

CELLS = 64
"""Most cells along a side of a map; larger ones are averaged over blocks of pixels."""

CUT = 0.001
"""Part of the pixels that may be brighter than the scale: single ones can be by far."""

LINES = ('-', '--', '-.', ':')
COLUMNS = 4


def plot_receptive_fields(
    fields: Sequence[ReceptiveField], path: str | Path, title: str = ''
) -> None:
    """Draws a heat map for each network and input size, side by side.

    Brightness is the contribution of a pixel over the mean of its map, on a log scale that all maps
    share. Squares around the centre hold 20, 30, 50 and 99 % of the total.

    Args:
        fields: At least one.
        path: File to write; its suffix names the format. An SVG is written beside it.
        title: What network it is.

    Raises:
        ImportError: matplotlib is missing.
    """
    columns = min(COLUMNS, len(fields))
    rows = -(-len(fields) // columns)
    maps = [_relative(field) for field in fields]
    most = max(2.0, *(one.flatten().quantile(1 - CUT).item() for one in maps))
    with figure_style('receptive fields are') as plt:
        size = (max(4.5, 2.6 * columns + 0.9), 3.3 * rows + 0.6)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        for axis, field, relative in zip(axes.flat, fields, maps, strict=False):
            image = _plot_field(axis, field, relative, most)
        for axis in axes.flat[len(fields) :]:
            axis.set_axis_off()
        figure.colorbar(image, ax=axes, label='contribution / mean', shrink=0.8, extend='both')
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=len(labels))
        if title:
            figure.suptitle(title)
        save_figure(figure, path)


def _relative(field: ReceptiveField) -> Tensor:
    """Contributions over their mean, in cells of a few pixels."""
    block = -(-max(field.input_hw) // CELLS)
    relative = (field.scores / field.scores.mean())[None]
    return functional.avg_pool2d(relative, block, ceil_mode=True, count_include_pad=False)[0]


def _plot_field(axis: Any, field: ReceptiveField, relative: Tensor, most: float) -> Any:
    from matplotlib.colors import LogNorm

    height, width = field.input_hw
    image = axis.imshow(
        relative.clamp(min=LEAST / 10).numpy(),
        cmap='inferno',
        norm=LogNorm(LEAST, most),
        extent=(0, width, height, 0),
        interpolation='nearest',
    )
    for threshold, line in zip(reversed(THRESHOLDS), LINES, strict=True):
        _draw_square(axis, field, threshold, line)
    ratios = [f'{100 * area_ratio(field.scores, part):.3g}' for part in THRESHOLDS]
    parts = '/'.join(f'{100 * part:.0f}' for part in THRESHOLDS)
    name = field.label if field.depths is None else f'{field.label}\n{field.depths_text}'
    axis.set_title(name, fontsize='small')
    axis.set_xlabel(f'x (pixels)\nr at {parts} %:\n{" / ".join(ratios)} %', fontsize='small')
    axis.set_ylabel('y (pixels)', fontsize='small')
    axis.tick_params(labelsize='x-small')
    axis.grid(visible=False)
    axis.locator_params(nbins=5)
    return image


def _draw_square(axis: Any, field: ReceptiveField, threshold: float, line: str) -> None:
    from matplotlib.patheffects import Normal, Stroke

    height, width = field.input_hw
    radius = square_side(field.scores, threshold) // 2
    top, bottom = max(0, height // 2 - radius), min(height, height // 2 + radius + 1)
    left, right = max(0, width // 2 - radius), min(width, width // 2 + radius + 1)
    axis.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        line,
        color='black',
        linewidth=1.1,
        marker='',
        label=f'{threshold:.0%} of the total',
        clip_on=False,
        path_effects=[Stroke(linewidth=2.6, foreground='white'), Normal()],
    )
