"""Heat maps of effective receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmst.pyplot import import_pyplot

from .receptive_field import THRESHOLDS, ReceptiveField, area_ratio, square_side

__all__ = ['plot_receptive_fields']

LEAST = 1e-4
"""Contributions below this part of the largest look like none."""

LINES = ('-', '--', '-.', ':')
COLUMNS = 4


def plot_receptive_fields(
    fields: Sequence[ReceptiveField], path: str | Path, title: str = ''
) -> None:
    """Draws a heat map for each network and input size, side by side.

    Brightness is the contribution over the largest of the map, on a log scale. Squares around the
    centre hold 20, 30, 50 and 99 % of the total.

    Args:
        fields: At least one.
        path: File to write; its suffix names the format.
        title: What network it is.

    Raises:
        ImportError: matplotlib is missing.
    """
    plt = import_pyplot('receptive fields are')
    columns = min(COLUMNS, len(fields))
    rows = -(-len(fields) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(4.5, 2.6 * columns + 0.9), 3.3 * rows + 0.6),
        squeeze=False,
        layout='constrained',
    )
    for axis, field in zip(axes.flat, fields, strict=False):
        image = _plot_field(axis, field)
    for axis in axes.flat[len(fields) :]:
        axis.set_axis_off()
    figure.colorbar(image, ax=axes, label='contribution / largest', shrink=0.8, extend='min')
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(labels), facecolor='0.45')
    for text in figure.legends[0].get_texts():
        text.set_color('white')
    if title:
        figure.suptitle(title, fontsize='medium')
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _plot_field(axis: Any, field: ReceptiveField) -> Any:
    from matplotlib.colors import LogNorm

    relative = (field.scores / field.scores.max()).clamp(min=LEAST / 10).numpy()
    height, width = field.input_hw
    image = axis.imshow(relative, cmap='gray', norm=LogNorm(LEAST, 1), extent=(0, width, height, 0))
    for threshold, line in zip(reversed(THRESHOLDS), LINES, strict=True):
        _draw_square(axis, field, threshold, line)
    ratios = [f'{100 * area_ratio(field.scores, part):.3g}' for part in THRESHOLDS]
    parts = '/'.join(f'{100 * part:.0f}' for part in THRESHOLDS)
    name = field.label if field.depths is None else f'{field.label}\n{field.depths_text}'
    axis.set_title(name, fontsize='small')
    axis.set_xlabel(f'x (pixels)\nr at {parts} %:\n{" / ".join(ratios)} %', fontsize='small')
    axis.set_ylabel('y (pixels)', fontsize='small')
    axis.tick_params(labelsize='x-small')
    axis.locator_params(nbins=5)
    return image


def _draw_square(axis: Any, field: ReceptiveField, threshold: float, line: str) -> None:
    height, width = field.input_hw
    radius = square_side(field.scores, threshold) // 2
    top, bottom = max(0, height // 2 - radius), min(height, height // 2 + radius + 1)
    left, right = max(0, width // 2 - radius), min(width, width // 2 + radius + 1)
    axis.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        line,
        color='tab:orange',
        linewidth=1.2,
        label=f'{threshold:.0%} of the total',
        clip_on=False,
    )
