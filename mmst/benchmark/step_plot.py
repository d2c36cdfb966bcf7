"""The results of a benchmark as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmst.pyplot import PAGE_WIDTH, curve_style, figure_style, save_figure

from .step_summary import StepSummary

__all__ = ['plot_steps']

TARGET = 1.05
"""Limit that the ratios to the floor and of memory should keep."""


def plot_steps(summaries: Sequence[StepSummary], path: str | Path, title: str = '') -> None:
    """Draws time, with its floor, and peak memory against the number of subnets.

    Args:
        summaries: The result of each arm; those of the plain arms are not drawn.
        path: File to write; its suffix names the format.
        title: What was measured.

    Raises:
        ImportError: matplotlib is missing.
    """
    arms = sorted(
        (summary for summary in summaries if summary.num_subnets is not None),
        key=lambda summary: summary.num_subnets or 0,
    )
    with figure_style('the picture of a benchmark is') as plt:
        figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.2))
        _plot_time(time_axis, arms)
        _plot_memory(memory_axis, arms)
        for axis in (time_axis, memory_axis):
            axis.set_xlabel('subnets per iteration, K')
            axis.set_xticks([summary.num_subnets for summary in arms])
            axis.set_ylim(bottom=0)
            axis.legend(loc='lower right')
        if title:
            figure.suptitle(title)
        save_figure(figure, path)


def _plot_time(axis: Any, arms: Sequence[StepSummary]) -> None:
    numbers = [summary.num_subnets for summary in arms]
    ratios = [summary.time_ratio for summary in arms]
    floors = [summary.floor for summary in arms]
    errors = [
        [s.time_ratio - s.to_floor_range[0] * s.floor for s in arms],
        [s.to_floor_range[1] * s.floor - s.time_ratio for s in arms],
    ]
    axis.fill_between(
        numbers,
        floors,
        [TARGET * floor for floor in floors],
        color='C1',
        alpha=0.2,
        label=f'up to {TARGET} x floor',
    )
    floor_style = {**curve_style(1), 'marker': ''}
    axis.plot(numbers, floors, label='floor (counted FLOPs)', **floor_style)
    axis.errorbar(numbers, ratios, yerr=errors, fmt='o', color='C0', label='measured time, 95 %')
    axis.set_ylabel('time : plain training')


def _plot_memory(axis: Any, arms: Sequence[StepSummary]) -> None:
    numbers = [summary.num_subnets for summary in arms]
    axis.axhspan(1, TARGET, color='C1', alpha=0.2, label=f'up to {TARGET} x plain')
    axis.plot(
        numbers, [summary.memory_ratio for summary in arms], 'o-', color='C0', label='peak memory'
    )
    axis.set_ylabel('peak memory : plain training')
    axis.set_ylim(top=1.2 * max(TARGET, *(summary.memory_ratio for summary in arms)))
