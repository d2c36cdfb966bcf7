"""The results of a grid: means, standard deviations and differences, as tables of Markdown."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cell import read_result
from .grid import Effect, Grid

__all__ = [
    'ArmResults',
    'Difference',
    'difference',
    'format_results',
    'read_results',
    'replace_results',
]

MISSING = 'missing'


@dataclass(frozen=True)
class ArmResults:
    """The results of one arm.

    Args:
        metric: Metric of the test set by seed.
        validation: The same of the last validation.
        iters: Iterations of its trainings, None without results.
        flops: Training FLOPs by seed.
    """

    metric: Mapping[int, float]
    validation: Mapping[int, float]
    iters: int | None
    flops: Mapping[int, float]


@dataclass(frozen=True)
class Difference:
    """A mean difference of two arms over the seeds that both have.

    Args:
        over: Name of the arm that was compared with.
        mean: Mean of the differences.
        error: Its standard error, None for a single seed.
        count: Number of seeds.
    """

    over: str
    mean: float
    error: float | None
    count: int


def read_results(grid: Grid, folder: Path) -> dict[str, ArmResults]:
    """Reads the results of all arms of a grid; a missing one is left out.

    Raises:
        ValueError: A result is damaged.
    """
    results = {}
    for arm in grid.arms:
        files = {seed: folder / f'{arm.name}-{seed}.json' for seed in grid.seeds}
        content = {seed: read_result(file) for seed, file in files.items() if file.exists()}
        results[arm.name] = ArmResults(
            metric={seed: one['metrics'][grid.metric] for seed, one in content.items()},
            validation={seed: one['validation'][-1][1] for seed, one in content.items()},
            iters=next((one['cell']['iters'] for one in content.values()), None),
            flops={seed: one['flops'] for seed, one in content.items()},
        )
    return results


def difference(effect: Effect, results: Mapping[str, ArmResults]) -> Difference | None:
    """Compares an arm with the best of others, seed by seed.

    Returns:
        The difference to the arm with the largest mean, None unless all arms have a seed that the
        compared one has.
    """
    own = results[effect.arm].metric
    found = [_paired(name, own, results[name].metric) for name in effect.over]
    complete = [one for one in found if one is not None]
    if not complete or len(complete) < len(found):
        return None
    return min(complete, key=lambda one: one.mean)


def format_results(grid: Grid, results: Mapping[str, ArmResults]) -> str:
    """Formats the table of the arms and that of the effects."""
    rows = [_arm_row(grid, results, arm.name, arm.label) for arm in grid.arms]
    header = ('', 'iterations', 'training FLOPs', f'test {grid.metric}', 'validation', 'seeds')
    parts = [f'{grid.title}; {grid.metric}, mean ± standard deviation over seeds.', '']
    parts += _markdown(header, rows)
    if grid.effects:
        parts += ['', 'Differences, paired by seed, mean ± standard error:', '']
        rows = [_effect_row(grid, results, effect) for effect in grid.effects]
        parts += _markdown(('', 'compared with', 'difference', 'seeds'), rows)
    return '\n'.join(parts)


def replace_results(page: str, grid: Grid, results: Mapping[str, ArmResults]) -> str:
    """Returns a page with the tables of a grid between its marks.

    Raises:
        ValueError: The page has no marks of the grid.
    """
    begin, end = (f'<!-- results of {grid.name}: {mark} -->' for mark in ('begin', 'end'))
    pattern = re.compile(f'{re.escape(begin)}.*?{re.escape(end)}', re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f'the page must have the lines {begin!r} and {end!r}, got none')
    text = f'{begin}\n{format_results(grid, results)}\n{end}'
    return pattern.sub(lambda _: text, page)


def spread(values: Sequence[float]) -> str:
    """Formats a mean and the sample's standard deviation."""
    if not values:
        return MISSING
    mean = f'{statistics.mean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def _paired(name: str, own: Mapping[int, float], other: Mapping[int, float]) -> Difference | None:
    values = [own[seed] - other[seed] for seed in sorted(set(own) & set(other))]
    if not values:
        return None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Difference(name, statistics.mean(values), error, len(values))


def _arm_row(
    grid: Grid, results: Mapping[str, ArmResults], name: str, label: str
) -> tuple[str, ...]:
    own, base = results[name], results[grid.baseline]
    if not own.metric:
        return (label, *[MISSING] * 4, f'0 of {len(grid.seeds)}')
    flops = statistics.mean(own.flops.values())
    relative = f'{flops / 1e12:.1f} T'
    if base.flops:
        relative += f', {flops / statistics.mean(base.flops.values()):.2f} x'
    return (
        label,
        str(own.iters),
        relative,
        spread(list(own.metric.values())),
        spread(list(own.validation.values())),
        f'{len(own.metric)} of {len(grid.seeds)}',
    )


def _effect_row(grid: Grid, results: Mapping[str, ArmResults], effect: Effect) -> tuple[str, ...]:
    found = difference(effect, results)
    if found is None:
        return effect.label, ' or '.join(effect.over), MISSING, '0'
    error = '' if found.error is None else f' ± {found.error:.1f}'
    return effect.label, grid.arm(found.over).label, f'{found.mean:+.1f}{error}', str(found.count)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ['---'] * len(header), *rows]
    return [f'| {" | ".join(line)} |' for line in lines]
