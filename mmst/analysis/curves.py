"""Curves of a training run: the main network's losses beside the subnets'."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmst.pyplot import import_pyplot

__all__ = ['SUBNET_PREFIX', 'plot_losses', 'read_scalars']

SUBNET_PREFIX = 'subnet/'
"""What the names of the subnets' scalars begin with in mmengine's logs."""

Curve = tuple[list[int], list[float]]


def read_scalars(run_dir: str | Path) -> list[dict[str, Any]]:
    """Reads what the newest run in a work dir logged.

    Args:
        run_dir: A work dir of mmengine, whose visualizer has a ``LocalVisBackend``.

    Returns:
        One dict for each line of the run's ``scalars.json``, oldest first. Lines of
        a training have the iteration as ``step``; those of a validation have its
        metrics.

    Raises:
        FileNotFoundError: No run in ``run_dir`` has logged anything.
    """
    files = sorted(Path(run_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'no */vis_data/scalars.json in {run_dir}; give the work dir of a run whose visualizer '
            "has dict(type='LocalVisBackend') among its vis_backends"
        )
    return [json.loads(line) for line in files[-1].read_text().splitlines()]


def plot_losses(scalars: list[dict[str, Any]], path: str | Path) -> None:
    """Draws one panel for each loss, with the main network's and the subnets' curve.

    Args:
        scalars: What :func:`read_scalars` returns.
        path: File to write; its suffix names the format.

    Raises:
        ValueError: No loss is among the scalars.
    """
    plt = import_pyplot('loss curves are')
    main, subnet = _loss_curves(scalars, ''), _loss_curves(scalars, SUBNET_PREFIX)
    names = list(dict.fromkeys([*main, *subnet]))
    if not names:
        raise ValueError('scalars must hold at least one loss of a training, got none')
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3 * rows), squeeze=False, layout='constrained'
    )
    for axis, name in zip(axes.flat, names, strict=False):
        _plot_panel(axis, name, main, subnet)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _plot_panel(axis: Any, name: str, main: Mapping[str, Curve], subnet: Mapping[str, Curve]):
    for label, curves, color in (('main', main, 'C0'), ('subnets', subnet, 'C1')):
        if name in curves:
            axis.plot(*curves[name], color=color, label=label)
    axis.set_title(name)
    axis.set_xlabel('iteration')
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()


def _loss_curves(scalars: list[dict[str, Any]], prefix: str) -> dict[str, Curve]:
    """Loss name without ``prefix`` -> (iterations, values)."""
    curves: dict[str, Curve] = {}
    for line in scalars:
        for key, value in line.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.startswith('loss'):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(line['step'])
                values.append(value)
    return curves
