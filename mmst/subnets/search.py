"""Search for the best subnet within a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner

from mmst.core import DepthSpace

from .cost import CostMeter
from .evaluation import default_recalibrate, run_subnet_test
from .pareto import Candidate, Metric, Results, candidates, choose_metric, within_flops

__all__ = ['Limits', 'search_key', 'search_subnets']


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
    store = Results(results, key)
    finished = store.read()
    wanted = _candidates(meter, limits)
    measured = []
    chosen_by: Metric | None = None
    for number, depths in enumerate(wanted, start=1):
        known = finished.get(depths)
        candidate = known or _measured(meter, depths, repeats)
        text = f'[{number}/{len(wanted)}] {",".join(map(str, depths))}: {_costs_text(candidate)}'
        if limits.max_latency is not None and candidate.latency_ratio > limits.max_latency:
            log(f'{text}, over the limit')
            continue
        if known is None:
            metrics = _numbers(run_subnet_test(runner, depths, recalibrate))
            candidate = Candidate(**{**vars(candidate), 'metrics': metrics})
            store.append(candidate)
        chosen_by = chosen_by or choose_metric(runner.cfg, list(candidate.metrics), metric)
        value = f'{chosen_by.name} {candidate.metrics[chosen_by.name]:.4f}'
        log(f'{text}, {value}' + (f' (from {results})' if known else ''))
        measured.append(candidate)
    if chosen_by is None:
        raise ValueError(
            f'--max-latency {limits.max_latency:g} allows none of the {len(wanted)} subnets; raise '
            'it, or extend the space to smaller ones (model.backbone.choices)'
        )
    return measured, chosen_by, chosen_by.best(measured)


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


def _costs_text(candidate: Candidate) -> str:
    return f'FLOPs x {candidate.flops_ratio:.3f}, latency x {candidate.latency_ratio:.3f}'


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that are numbers (there are lists, of one number a class)."""
    return {name: float(value) for name, value in metrics.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
