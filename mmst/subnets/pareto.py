"""Choice of a subnet by cost and quality: candidates, results, the Pareto front."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from logging import Logger
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from mmst.core import DepthCost, DepthSpace, Subnet, residual_stages
from mmst.engine.summary import count_depth_cost

__all__ = [
    'Candidate',
    'Metric',
    'Results',
    'candidates',
    'choose_metric',
    'pareto_front',
    'spread_over_flops',
    'spread_subnets',
    'within_flops',
]

USUAL_METRICS = ('coco/bbox_mAP', 'coco_panoptic/PQ', 'mIoU', 'coco/AP', 'accuracy/top1')

MANY_SUBNETS = 10_000
NO_RESULT = 'no result'


@dataclass(frozen=True)
class Candidate:
    """A subnet that was measured.

    Args:
        depths: Leading blocks kept in each stage.
        parameters: Number of parameters.
        flops: FLOPs of a forward pass.
        flops_ratio: FLOPs over those of the whole network.
        latency_ms: Median time of a forward pass in milliseconds, None if it was not measured.
        latency_ratio: Time over that of the whole network, None if it was not measured.
        metrics: Validation metrics. There are none if a detector of mmdet has detected nothing.
    """

    depths: tuple[int, ...]
    parameters: int
    flops: int
    flops_ratio: float
    latency_ms: float | None
    latency_ratio: float | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class Metric:
    """Metric that compares candidates.

    Args:
        name: Key of the metrics.
        greater: Whether a higher value is better.
    """

    name: str
    greater: bool = True

    def score(self, candidate: Candidate) -> float:
        """Returns a number that is higher for the better candidate; NaN and none are the worst."""
        value = candidate.metrics.get(self.name, math.nan)
        if math.isnan(value):
            return -math.inf
        return value if self.greater else -value

    def text(self, metrics: Mapping[str, float]) -> str:
        """Returns name and value, for a log."""
        return f'{self.name} {metrics[self.name]:.4f}' if self.name in metrics else NO_RESULT

    def gap(self, whole: float, subnet: float) -> float:
        """Returns how much worse a subnet's value is than the whole network's."""
        return whole - subnet if self.greater else subnet - whole

    def best(self, measured: Iterable[Candidate]) -> Candidate:
        """Returns the best candidate, of equally good ones that of the fewest FLOPs."""
        return max(measured, key=lambda one: (self.score(one), -one.flops))


def candidates(backbone: nn.Module) -> DepthSpace:
    """Returns the subnets to choose from: the backbone's space, or every depth of a plain one.

    Exported subnets keep the first blocks of each stage, so a stochastic space counts as ordered.

    Raises:
        TypeError: The stages of the backbone are not known.
    """
    space = getattr(backbone, 'depth_space', None)
    if isinstance(space, DepthSpace):
        return DepthSpace(space.full, space.choices)
    return DepthSpace([len(stage) for stage in residual_stages(backbone)])


def within_flops(
    space: DepthSpace, cost: DepthCost, limit: float, max_candidates: int
) -> list[tuple[int, ...]]:
    """Returns the depths that cost little enough, the cheapest first.

    Args:
        space: Subnets to choose from.
        cost: FLOPs of the network.
        limit: Largest ratio of FLOPs to the whole network's (up to 1), or number of FLOPs.
        max_candidates: Largest number of candidates.

    Raises:
        ValueError: There is none, or too many.
    """
    ratio = limit if limit <= 1 else limit / cost.total
    ratios: dict[tuple[int, ...], float] = {}
    for subnet in space:
        found = cost.ratio(subnet)
        if found <= ratio:
            ratios[subnet.depths] = found
        if len(ratios) > max_candidates:
            raise ValueError(
                f'--max-candidates {max_candidates} is less than the number of subnets to '
                f'evaluate, of {space.size} in the space of choices {space.choices}; raise it, '
                'give a lower --max-flops, or narrow the space: --cfg-options '
                'model.backbone.choices=[...], for a plain backbone with '
                'model.backbone.type=mmst.STBackbone and model.backbone.wraps=TYPE'
            )
    if not ratios:
        least = cost.ratio(space.smallest)
        raise ValueError(
            f'--max-flops must allow the smallest subnet {space.smallest.depths}, which costs '
            f'{least:.3f} of the whole network ({least * cost.total:.4g} FLOPs), got {limit:g}'
        )
    return sorted(ratios, key=ratios.__getitem__)


def spread_over_flops(space: DepthSpace, cost: DepthCost, count: int) -> list[tuple[int, ...]]:
    """Chooses subnets whose FLOPs are spread evenly from the smallest subnet to the whole network.

    Args:
        space: Subnets to choose from, of the ordered rule. Of very large spaces, the choice is from
            10,000 random ones.
        cost: FLOPs of the network.
        count: How many subnets. Both ends are among them; a single one is the smallest.

    Returns:
        Their depths, the cheapest first: all subnets, if there are not more than ``count``.
    """
    ends = {space.smallest.depths, space.largest.depths}
    if space.size <= MANY_SUBNETS:
        found = {subnet.depths for subnet in space}
    else:
        draws = (space.sample(seed=0, step=step) for step in range(MANY_SUBNETS))
        found = ends | {subnet.depths for subnet in draws}
    ratios = {depths: cost.ratio(Subnet(depths)) for depths in sorted(found)}
    if len(ratios) <= count:
        return sorted(ratios, key=ratios.__getitem__)
    least = ratios[space.smallest.depths]
    steps = max(1, count - 1)
    chosen: list[tuple[int, ...]] = [space.smallest.depths, space.largest.depths][:count]
    for step in range(1, steps):
        wanted = least + (1 - least) * step / steps
        left = (depths for depths in ratios if depths not in chosen)
        chosen.append(min(left, key=lambda depths: abs(ratios[depths] - wanted)))
    return sorted(chosen, key=ratios.__getitem__)


def spread_subnets(backbone: nn.Module, count: int, logger: Logger) -> list[tuple[int, ...]]:
    """Chooses subnets by :func:`spread_over_flops`, the smallest among them, but not the network.

    Args:
        backbone: Backbone whose subnets they are.
        count: How many; fewer if there are not so many.
        logger: Logger of why FLOPs could not be counted.

    Returns:
        Their depths, the cheapest first.

    Raises:
        ValueError: FLOPs cannot be counted, and more than the smallest subnet is wanted.
    """
    space = candidates(backbone)
    if count == 1:
        return [depths for depths in [space.smallest.depths] if depths != space.full]
    cost = count_depth_cost(backbone, logger)
    if cost is None:
        raise ValueError(
            f'{count} subnets would be spread by FLOPs, which cannot be counted for a '
            f'{type(backbone).__name__}; give their depths'
        )
    return [d for d in spread_over_flops(space, cost, count + 1) if d != space.full]


class Results:
    """Measured candidates in a file, one JSON object a line; an interrupted run goes on there.

    Args:
        file: The file.
        key: What results depend on beside the depths: those of other keys are left alone.
    """

    def __init__(self, file: Path, key: dict[str, Any]) -> None:
        self.file = file
        self.key = key

    def read(self) -> dict[tuple[int, ...], Candidate]:
        """Returns the finished candidates by their depths; a line that was cut off is none."""
        found = {}
        for line in self.file.read_text().splitlines() if self.file.is_file() else ():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and record.pop('key', None) == self.key:
                depths = tuple(record.pop('depths'))
                found[depths] = Candidate(depths, **record)
        return found

    def append(self, candidate: Candidate) -> None:
        """Appends a candidate to the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({'key': self.key, **asdict(candidate)}) + '\n'
        with self.file.open('a+b') as stream:
            if stream.tell() and not _ends_line(self.file):
                line = '\n' + line
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())


def choose_metric(cfg: Config, metrics: Sequence[str], name: str | None = None) -> Metric:
    """Decides by which metric subnets are compared.

    Args:
        cfg: Config of the training.
        metrics: Names of the metrics that an evaluation gave.
        name: Name to take. Defaults to what the config saves its best checkpoint by, else to the
            usual one of the task, else to the first.

    Raises:
        ValueError: There is no such metric.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    saved, rules = _listed(hook.get('save_best')), _listed(hook.get('rule'))
    if name is None and saved and saved[0] != 'auto':
        name = saved[0]
    elif name is None:
        usual = [] if saved else [metric for metric in USUAL_METRICS if metric in metrics]
        name = next(iter([*usual, *metrics]), None)
    if name is None or name not in metrics:
        raise ValueError(f'metric must be one of {sorted(metrics)}, got {name!r}')
    less = 'loss' in name.lower()
    if rules and name in saved:
        less = rules[min(saved.index(name), len(rules) - 1)] == 'less'
    return Metric(name, greater=not less)


def pareto_front(
    measured: Iterable[Candidate], metric: Metric, cost: Callable[[Candidate], float]
) -> list[Candidate]:
    """Returns the candidates that are better than all cheaper ones, the cheapest first."""
    front: list[Candidate] = []
    best = -math.inf
    for candidate in sorted(measured, key=lambda one: (cost(one), -metric.score(one))):
        if metric.score(candidate) > best:
            front.append(candidate)
            best = metric.score(candidate)
    return front


def _listed(value: Any) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _ends_line(file: Path) -> bool:
    with file.open('rb') as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b'\n'
