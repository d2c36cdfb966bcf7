"""Search for the best subnet within a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner

from mmst.core import DepthSpace

from .cost import CostMeter
from .evaluation import default_recalibrate, numbers, run_subnet_test
from .loaders import TrainingBatches
from .pareto import NO_RESULT, Candidate, Metric, Results, candidates, choose_metric, within_flops

__all__ = ['Limits', 'evaluate_subnets', 'search_key', 'search_subnets']


@dataclass(frozen=True)
class Limits:
    """Limit on the cost of a subnet; one of the two is given.

    Args:
        max_flops: Largest FLOPs: a ratio to the whole network's (up to 1), or their number.
        max_latency: Largest latency, as a ratio to the whole network's.
        max_candidates: Largest number of subnets to evaluate.

    Raises:
        ValueError: A limit is out of its range, or not exactly one is given.
    """

    max_flops: float | None = None
    max_latency: float | None = None
    max_candidates: int = 64

    def __post_init__(self) -> None:
        if (self.max_flops is None) == (self.max_latency is None):
            raise ValueError('one of --max-flops and --max-latency must be given, not both')
        if self.max_flops is not None and not self.max_flops > 0:
            raise ValueError(
                f'--max-flops must be positive, a ratio up to 1 or a number, got {self.max_flops:g}'
            )
        if self.max_latency is not None and not self.max_latency > 0:
            raise ValueError(f'--max-latency must be a positive ratio, got {self.max_latency:g}')
        if self.max_candidates < 1:
            raise ValueError(f'--max-candidates must be at least 1, got {self.max_candidates}')


def search_subnets(
    runner: Runner,
    meter: CostMeter,
    limits: Limits,
    results: Path,
    *,
    key: dict[str, Any],
    metric: str | None = None,
    recalibrate: int | None = None,
    repeats: int | None = None,
    log: Callable[[str], None] = print,
) -> tuple[list[Candidate], Metric, Candidate]:
    """Evaluates the subnets of a network within a limit, except those finished before.

    Args:
        runner: Runner whose test data the subnets are compared on, see
            :func:`mmst.subnets.config.use_validation_data`, with its checkpoint loaded.
        meter: Measures them.
        limits: What a subnet may cost.
        results: File that each finished candidate is appended to.
        key: What tells these results from others in the file (checkpoint, settings).
        metric: What to compare by, see :func:`mmst.subnets.pareto.choose_metric`.
        recalibrate: See :func:`mmst.subnets.evaluation.run_subnet_test`.
        repeats: See :func:`mmst.subnets.cost.measure_latency`.
        log: Takes a line for each candidate.

    Returns:
        The candidates, by what they were compared, and the best.

    Raises:
        ValueError: No subnet satisfies the limit, too many do, or the metric is not there.
    """
    wanted = _candidates(meter, limits)
    evaluated = evaluate_subnets(
        runner,
        wanted,
        Results(results, key),
        lambda depths: _measured(meter, depths, repeats),
        recalibrate=recalibrate,
        is_allowed=lambda candidate: not _is_slow(candidate, limits),
    )
    measured = []
    chosen_by: Metric | None = None
    for number, (candidate, is_known) in enumerate(evaluated, start=1):
        text = f'[{number}/{len(wanted)}] {",".join(map(str, candidate.depths))}: '
        text += f'FLOPs x {candidate.flops_ratio:.3f}, latency x {candidate.latency_ratio:.3f}'
        if _is_slow(candidate, limits):
            log(f'{text}, over the limit')
            continue
        if chosen_by is None and candidate.metrics:
            chosen_by = choose_metric(runner.cfg, list(candidate.metrics), metric)
        value = chosen_by.text(candidate.metrics) if chosen_by else NO_RESULT
        log(f'{text}, {value}' + (f' (from {results})' if is_known else ''))
        measured.append(candidate)
    if not measured:
        raise ValueError(
            f'--max-latency {limits.max_latency:g} allows none of the {len(wanted)} subnets; raise '
            'it, or extend the space to smaller ones (model.backbone.choices)'
        )
    if chosen_by is None:
        raise ValueError(
            f'a subnet must have a validation metric to be chosen, got none for all {len(measured)}'
            ': the networks detect nothing. Give the checkpoint of a longer training'
        )
    return measured, chosen_by, chosen_by.best(measured)


def evaluate_subnets(
    runner: Runner,
    wanted: Iterable[tuple[int, ...]],
    store: Results,
    measure: Callable[[tuple[int, ...]], Candidate],
    *,
    recalibrate: int | None = None,
    is_allowed: Callable[[Candidate], bool] = lambda _: True,
) -> Iterator[tuple[Candidate, bool]]:
    """Evaluates subnets one by one, except those finished before.

    Args:
        runner: As in :func:`search_subnets`.
        wanted: Depths of the subnets.
        store: Finished candidates, which each new one is appended to.
        measure: Returns a candidate with its costs, without metrics.
        recalibrate: See :func:`mmst.subnets.evaluation.run_subnet_test`.
        is_allowed: Whether the costs allow to evaluate a candidate; else it has no metrics.

    Yields:
        Each candidate, and whether it was finished before.
    """
    finished, batches = store.read(), TrainingBatches(runner)
    for depths in wanted:
        known = finished.get(depths)
        candidate = known or measure(depths)
        if known is None and is_allowed(candidate):
            metrics = numbers(run_subnet_test(runner, depths, recalibrate, batches))
            candidate = replace(candidate, metrics=metrics)
            store.append(candidate)
        yield candidate, known is not None


def search_key(
    meter: CostMeter, checkpoint: str, settings: str, recalibrate: int | None, repeats: int | None
) -> Any:
    """Returns what results depend on: checksums, batches, and where latency was measured."""
    smallest = candidates(meter.backbone).smallest.depths
    if recalibrate is None:
        recalibrate = default_recalibrate(meter.model, smallest)
    device = next(meter.model.parameters()).device
    is_cuda = device.type == 'cuda'
    return {
        'checkpoint': checkpoint,
        'settings': settings,
        'recalibrate': recalibrate,
        'device': torch.cuda.get_device_name(device) if is_cuda else str(device),
        'repeats': repeats,
    }


def _candidates(meter: CostMeter, limits: Limits) -> list[tuple[int, ...]]:
    space: DepthSpace = candidates(meter.backbone)
    limit = 1.0 if limits.max_flops is None else limits.max_flops
    return within_flops(space, meter.flops, limit, limits.max_candidates)


def _measured(meter: CostMeter, depths: tuple[int, ...], repeats: int | None) -> Candidate:
    cost = meter.measure(depths, repeats)
    return Candidate(
        depths=depths,
        parameters=cost.parameters[1],
        flops=cost.flops[1],
        flops_ratio=cost.flops[1] / cost.flops[0],
        latency_ms=cost.latency.subnet_ms,
        latency_ratio=cost.latency.ratio,
        metrics={},
    )


def _is_slow(candidate: Candidate, limits: Limits) -> bool:
    ratio = candidate.latency_ratio
    return limits.max_latency is not None and ratio is not None and ratio > limits.max_latency
