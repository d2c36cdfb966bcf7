"""Summary of a benchmark: ratios to plain training, and their uncertainty."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .step_loop import PLAIN, StepSample

__all__ = ['CLOCKS', 'StepSummary', 'bootstrap_interval', 'summarize_steps']

RESAMPLES = 2000
CLOCKS = {'wall': 'seconds', 'cpu': 'cpu_seconds'}
"""Name of a clock -> where a sample holds its time."""


@dataclass(frozen=True)
class StepSummary:
    """One arm in comparison with plain training.

    Args:
        arm: Name of the arm.
        num_subnets: Its number of subnets, K; ``None`` for the plain arms.
        seconds: Median time of an iteration, by the chosen clock like all times.
        time_ratio: Time of its iterations over that of plain ones: ``to_floor`` x ``floor``.
        time_ratio_of_sums: The same from the sums of all times, which an outlier moves.
        floor: Counted FLOPs of its iterations over those of plain ones, of the same draws.
        to_floor: ``time_ratio`` over ``floor``: the median over the intervals of the hook, each
            with the floor of its own draws.
        to_floor_range: 95 % bootstrap interval of ``to_floor``.
        memory_ratio: Its highest peak of memory over that of plain training.
        resize_share: Part of its wall time spent in making the subnets' batches.
        resize_inputs_share: Part spent on their images.
        resize_ground_truth_share: Part spent on the rest, the ground truth.
        other_ms: Milliseconds of processor time that a subnet pass spends outside forward,
            backward and resizing images; the median over the iterations with subnets, 0 without.
    """

    arm: str
    num_subnets: int | None
    seconds: float
    time_ratio: float
    time_ratio_of_sums: float
    floor: float
    to_floor: float
    to_floor_range: tuple[float, float]
    memory_ratio: float
    resize_share: float
    resize_inputs_share: float
    resize_ground_truth_share: float
    other_ms: float


def summarize_steps(
    samples: Sequence[StepSample], interval: int = 1, clock: str = 'wall'
) -> list[StepSummary]:
    """Compares each arm with plain training.

    Subnets differ in size from step to step, and with them the times. So the iterations of an
    arm are paired with the plain ones of the same steps, and each pair is divided by its own floor
    before the median is taken.

    Args:
        samples: The samples of all arms, with the same steps, as many as a multiple of
            ``interval``.
        interval: Iterations from one stimulated iteration to the next. Times and FLOPs are
            added up over so many iterations before they are compared.
        clock: ``'wall'``, or ``'cpu'`` for the processor time of the process, which other
            processes on a busy machine hardly change.

    Returns:
        A summary of each arm, in the order of the samples.

    Raises:
        ValueError: There is no plain iteration to compare with, nothing was counted in them, or the
            clock is unknown.
    """
    if clock not in CLOCKS:
        raise ValueError(f'clock must be one of {tuple(CLOCKS)}, got {clock!r}')
    arms: dict[str, list[StepSample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.step):
        arms.setdefault(sample.arm, []).append(sample)
    plain = arms.get(PLAIN)
    if not plain:
        raise ValueError(f'samples must hold iterations of the arm {PLAIN!r}, got none')
    if min(sample.flops for sample in plain) == 0:
        raise ValueError(
            'the model must have matrix products or convolutions to compare FLOPs, got none'
        )
    order = dict.fromkeys(sample.arm for sample in samples)
    return [_summarize(name, arms[name], plain, interval, CLOCKS[clock]) for name in order]


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the median.

    Args:
        values: At least one value.
        confidence: Its coverage, in (0, 1).
        seed: Seed of the resampling.
    """
    draw = random.Random(seed)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    tail = round((1 - confidence) / 2 * (RESAMPLES - 1))
    return medians[tail], medians[-1 - tail]


def _summarize(
    name: str, arm: Sequence[StepSample], plain: Sequence[StepSample], interval: int, clock: str
) -> StepSummary:
    times, plain_times = _sums(arm, clock, interval), _sums(plain, clock, interval)
    flops, plain_flops = _sums(arm, 'flops', interval), _sums(plain, 'flops', interval)
    quotients = [
        (time / plain_time) / (flop / plain_flop)
        for time, plain_time, flop, plain_flop in zip(
            times, plain_times, flops, plain_flops, strict=True
        )
    ]
    floor, to_floor = sum(flops) / sum(plain_flops), statistics.median(quotients)
    wall = sum(sample.seconds for sample in arm)
    resize = sum(sample.resize_seconds for sample in arm) / wall
    resize_inputs = sum(sample.resize_inputs_seconds for sample in arm) / wall
    return StepSummary(
        arm=name,
        num_subnets=arm[0].num_subnets,
        seconds=statistics.median(getattr(sample, clock) for sample in arm),
        time_ratio=to_floor * floor,
        time_ratio_of_sums=sum(times) / sum(plain_times),
        floor=floor,
        to_floor=to_floor,
        to_floor_range=bootstrap_interval(quotients),
        memory_ratio=_peak(arm) / _peak(plain),
        resize_share=resize,
        resize_inputs_share=resize_inputs,
        resize_ground_truth_share=resize - resize_inputs,
        other_ms=_other_ms(arm),
    )


def _sums(samples: Sequence[StepSample], name: str, interval: int) -> list[float]:
    values = [getattr(sample, name) for sample in samples]
    return [sum(values[start : start + interval]) for start in range(0, len(values), interval)]


def _peak(samples: Sequence[StepSample]) -> int:
    return max(sample.peak_bytes for sample in samples)


def _other_ms(arm: Sequence[StepSample]) -> float:
    spent = [
        sample.other_seconds / sample.num_subnets
        for sample in arm
        if sample.num_subnets and sample.other_seconds > 0
    ]
    return 1000 * statistics.median(spent) if spent else 0.0
