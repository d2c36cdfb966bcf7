"""One training of a grid: its config, and its result as a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmst.checkpoints.write import write_whole
from mmst.config import set_data_root, set_max_iters
from mmst.config.file import load_config

from .grid import Arm, Grid
from .training_cost import equal_iters, training_cost

__all__ = ['Cell', 'cell_config', 'changed_settings', 'make_cells', 'read_result', 'write_result']

VALIDATIONS = 10
"""Number of times that a cell is validated and saved, evenly over its iterations."""


@dataclass(frozen=True)
class Cell:
    """Settings that decide the result of a training.

    Args:
        grid: Name of the grid.
        arm: Name of the arm.
        seed: Seed.
        config: Config file.
        options: Changes to the config.
        weights: File of the initial weights.
        iters: Iterations.
        batch_size: Images per iteration.
        forward_flops: FLOPs of the network's forward pass of one image.
        stimulated: Part of the iterations that train subnets.
    """

    grid: str
    arm: str
    seed: int
    config: str
    options: Mapping[str, Any]
    weights: str | None
    iters: int
    batch_size: int
    forward_flops: int
    stimulated: float

    @property
    def name(self) -> str:
        """Name of its files."""
        return f'{self.arm}-{self.seed}'


def make_cells(grid: Grid, arms: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """Makes the cells of some arms and seeds, one seed after the other.

    Builds the model of each arm, to count its FLOPs.

    Raises:
        FileNotFoundError: A config is missing.
        ValueError: A config does not fit its options, or FLOPs cannot be counted.
    """
    wanted = [arm for arm in grid.arms if arm.name in arms]
    needed = {name for arm in wanted for name in (arm.name, arm.equal_flops) if name}
    costs = {
        name: training_cost(_arm_config(grid.arm(name)), grid.input_hw, grid.iters)
        for name in needed
    }
    cells = []
    for seed in seeds:
        for arm in wanted:
            cost, iters = costs[arm.name], grid.iters
            if arm.equal_flops is not None:
                iters = equal_iters(grid.iters, costs[arm.equal_flops], cost)
            cells.append(
                Cell(
                    grid=grid.name,
                    arm=arm.name,
                    seed=seed,
                    config=arm.config,
                    options=arm.options,
                    weights=grid.weights,
                    iters=iters,
                    batch_size=cost.batch_size,
                    forward_flops=cost.forward_flops,
                    stimulated=cost.stimulated,
                )
            )
    return cells


def cell_config(cell: Cell, data_root: str | None) -> Config:
    """Makes the config that ``tools/train.py`` runs for a cell.

    It is validated and saved ten times, so that a killed run loses a tenth at most.
    """
    cfg = _changed(load_config(cell.config), cell.options, data_root)
    set_max_iters(cfg, cell.iters)
    interval = -(-cell.iters // VALIDATIONS)
    cfg.train_cfg.val_interval = interval
    cfg.default_hooks.checkpoint.update(interval=interval, max_keep_ckpts=1)
    return cfg


def write_result(cell: Cell, content: Mapping[str, Any], file: Path) -> None:
    """Writes the result of a finished cell, whole or not at all."""
    entries = {'cell': asdict(cell), **content}.items()
    lines = ',\n'.join(f' {json.dumps(name)}: {json.dumps(value)}' for name, value in entries)

    def write(partial: Path) -> None:
        partial.write_text(f'{{\n{lines}\n}}\n')

    write_whole(file, write)


def read_result(file: Path) -> dict[str, Any]:
    """Reads a result.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        content = json.loads(file.read_text())
        content['cell'], content['metrics']  # noqa: B018 - whether they are there
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} must be the JSON of a finished cell, and is damaged ({error}); delete it, and '
            'the cell runs again'
        ) from None
    return content


def changed_settings(cell: Cell, result: Mapping[str, Any]) -> list[str]:
    """Names, with both values, in which a cell differs from that of a result."""
    now, then = json.loads(json.dumps(asdict(cell))), result['cell']
    return [
        f'{name} was {then.get(name)!r}, is {now[name]!r}'
        for name in now
        if then.get(name) != now[name]
    ]


def _arm_config(arm: Arm) -> Config:
    return _changed(load_config(arm.config), arm.options, None)


def _changed(cfg: Config, options: Mapping[str, Any], data_root: str | None) -> Config:
    if data_root is not None:
        set_data_root(cfg, data_root)
    cfg.merge_from_dict(dict(options))
    return cfg
