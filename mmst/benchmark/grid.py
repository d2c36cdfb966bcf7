"""A grid of trainings: one YAML file, one cell for each arm and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

__all__ = ['Arm', 'Effect', 'Grid', 'chosen', 'load_grid']


@dataclass(frozen=True)
class Arm:
    """One way of training, repeated with several seeds.

    Args:
        name: Short name, that of its result files.
        label: What tables call it.
        config: Config file.
        options: Changes to the config; keys may have dots, as those of ``--cfg-options``.
        equal_flops: Name of the arm whose training FLOPs it gets, by more or fewer iterations.
            Defaults to the iterations of the grid.
    """

    name: str
    label: str
    config: str
    options: Mapping[str, Any]
    equal_flops: str | None = None


@dataclass(frozen=True)
class Effect:
    """A difference between arms that the grid is there to measure.

    Args:
        label: What tables call it.
        arm: Name of an arm.
        over: Names of those it is compared with; the best of them counts.
    """

    label: str
    arm: str
    over: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """All trainings of one table.

    Args:
        name: That of the file, without its ending.
        title: What is trained on what.
        arms: Ways of training.
        seeds: Seeds of each.
        iters: Iterations of an arm without ``equal_flops``.
        input_hw: Size (height, width) in pixels at which FLOPs are counted.
        metric: Name of the metric, larger is better.
        baseline: Name of the arm that the others are compared with.
        weights: File of the backbone's initial weights, as ``--weights`` takes it.
        effects: Differences to report.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    iters: int
    input_hw: tuple[int, int]
    metric: str
    baseline: str
    weights: str | None = None
    effects: tuple[Effect, ...] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        _check(self.iters >= 1, 'iters', 'at least 1', self.iters)
        _check(len(self.input_hw) == 2, 'input_hw', 'a height and a width', self.input_hw)
        _check(bool(self.seeds), 'seeds', 'at least one', self.seeds)
        _check(len(set(self.seeds)) == len(self.seeds), 'seeds', 'different', self.seeds)
        _check(self.baseline in names, 'baseline', f'one of {names}', self.baseline)
        for arm in self.arms:
            if arm.equal_flops is not None:
                what = f'equal_flops of {arm.name}'
                _check(arm.equal_flops in names, what, f'one of {names}', arm.equal_flops)
                target = self.arm(arm.equal_flops)
                _check(target.equal_flops is None, what, 'an arm without equal_flops', target.name)
        for effect in self.effects:
            for name in (effect.arm, *effect.over):
                _check(name in names, f'effect {effect.label!r}', f'arms of {names}', name)

    def arm(self, name: str) -> Arm:
        """The arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)


def load_grid(file: str | PathLike[str]) -> Grid:
    """Reads a grid.

    Args:
        file: YAML with the arguments of :class:`Grid`; ``arms`` maps names to the other arguments
            of :class:`Arm`, whose ``config`` defaults to that of the grid.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A key is unknown or missing, or a value is out of range.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f'grid must be an existing file, got {str(file)!r}')
    content = yaml.safe_load(path.read_text())
    _check(isinstance(content, dict), str(path), 'a mapping', content)
    content = {**content, 'name': path.stem}
    common = content.pop('config', None)
    arms = [
        _build(Arm, {'config': common, 'options': {}, **(own or {}), 'name': name}, f'arm {name}')
        for name, own in (content.get('arms') or {}).items()
    ]
    for arm in arms:
        _check(arm.config is not None, f'config of {arm.name}', 'given', None)
    effects = [_build(Effect, own, 'effect') for own in content.get('effects') or ()]
    effects = [Effect(own.label, own.arm, tuple(own.over)) for own in effects]
    for name in ('seeds', 'input_hw'):
        content[name] = tuple(content.get(name) or ())
    return _build(Grid, {**content, 'arms': tuple(arms), 'effects': tuple(effects)}, str(path))


def chosen(
    grid: Grid, arms: Sequence[str] | None, seeds: Sequence[int] | None
) -> tuple[list[str], list[int]]:
    """Returns the named arms, in the order of the grid, and seeds; ``None`` means all.

    Raises:
        ValueError: The grid has no such arm or seed.
    """
    names = [arm.name for arm in grid.arms]
    for option, known, wanted in (('--arms', names, arms), ('--seeds', grid.seeds, seeds)):
        if unknown := [one for one in wanted or () if one not in known]:
            raise ValueError(f'{option} must be of {list(known)} of {grid.name}, got {unknown}')
    return (
        [name for name in names if arms is None or name in arms],
        [seed for seed in grid.seeds if seeds is None or seed in seeds],
    )


def _build(cls: type, values: Mapping[str, Any], what: str) -> Any:
    known = {field.name for field in fields(cls)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f'{what} has unknown keys {unknown}; it takes {sorted(known)}')
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f'{what}: {error}') from error


def _check(is_right: bool, name: str, rule: str, value: Any) -> None:
    if not is_right:
        raise ValueError(f'{name} must be {rule}, got {value!r}')
