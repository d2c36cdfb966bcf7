"""Parameter schedulers of a shortened (or lengthened) run."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mmengine.config import ConfigDict

from .traversal import type_name

__all__ = ['Scale', 'scale_schedulers']

_DECAYS = ('CosineAnnealing', 'Poly', 'Exponential', 'Step')
_STEPS = {f'Step{end}': f'MultiStep{end}' for end in ('LR', 'Momentum', 'ParamScheduler')}
_ALMOST_ONE = 1 - 1e-9


@dataclass(frozen=True)
class Scale:
    """Map from counts of an old schedule to iterations of a new one.

    Attributes:
        new: Length of the new one in iterations.
        old: Length of the old one in its own unit.
        by_epoch: Whether that unit is the epoch.
    """

    new: int
    old: int
    by_epoch: bool

    def apply(self, count: int, by_epoch: bool) -> int:
        """Returns the first iteration of the new schedule that begins at a time of the old one.

        Counts of iterations in a schedule of epochs are those of a warm-up: they stay, up to a
        tenth of the new schedule.
        """
        if by_epoch == self.by_epoch:
            return math.ceil(Fraction(count) * self.new / self.old)
        return min(count, self.new // 10)


def scale_schedulers(schedulers: Any, scale: Scale) -> Any:
    """Returns new configs of schedulers for a run of another length.

    A scheduler acts at the start of its iterations, so one that has few of them left would do half
    its work: a warm-up of one iteration would leave the small value that it starts with, a decay of
    one iteration would leave the large one. What a scheduler leaves behind is therefore kept:

    * A warm-up that has less than two iterations left is dropped.
    * A decay that ends before the run gets one more iteration, in which it arrives.
    * One that only ever acted once (mmpose multiplies rates so) still does.

    Args:
        schedulers: Config of a scheduler, a list of them, or a dict of those of several optimisers.
        scale: The old and the new length.

    Raises:
        ValueError: A scheduler would never step, or it does not say how long it is meant to last.
    """
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        return {name: scale_schedulers(own, scale) for name, own in schedulers.items()}
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    scaled = (_scaled(scheduler, scale) for scheduler in schedulers)
    return [scheduler for scheduler in scaled if scheduler is not None]


def _scaled(scheduler: ConfigDict, scale: Scale) -> ConfigDict | None:
    """Returns a new config of the scheduler, or None if it has nothing left to do."""
    new, kind = ConfigDict(scheduler), str(type_name(scheduler))
    if 'ReduceOnPlateau' in kind:
        return new  # It is driven by validations.
    by_epoch = new.pop('by_epoch', True)
    acted_once = new.get('end') is not None and _length(new, scale.old) == 1
    acted_once &= not new.pop('convert_to_iter_based', False)
    new.by_epoch = False
    if by_epoch and not scale.by_epoch:
        raise ValueError(
            f'param_scheduler {kind} counts epochs in an iteration-based schedule, where it never '
            'steps; set its by_epoch=False'
        )
    if scale.by_epoch and not by_epoch and _has_own_horizon(new, kind):
        scale, by_epoch = Scale(scale.new, _horizon(new, kind), by_epoch=False), False
    if kind in _STEPS:
        _list_steps(new, kind, scale.old)
    old_length = _length(new, scale.old)
    _scale_counts(new, scale, by_epoch)
    begin = new.get('begin', 0)
    if begin >= scale.new:
        return None
    if acted_once:
        new.end = begin + 1
        return new
    if _decays(new, kind):
        return _fitted_decay(new, kind, scale, old_length)
    length = _length(new, scale.new)
    if 'periods' in new:
        return new
    if 'OneCycle' in kind:
        return _fitted_cycle(new, length) if length > 0 else None
    return new if length > 1 else _end_of_rise(new, kind)


def _length(scheduler: ConfigDict, run: int) -> int:
    """Number of steps in which a scheduler acts, in a run of that length."""
    end = scheduler.get('end')
    return (run if end is None else end) - scheduler.get('begin', 0)


def _decays(scheduler: ConfigDict, kind: str) -> bool:
    if 'Linear' in kind:
        return scheduler.get('start_factor', 1 / 3) >= scheduler.get('end_factor', 1.0)
    return any(name in kind for name in _DECAYS)


def _has_own_horizon(scheduler: ConfigDict, kind: str) -> bool:
    """Tells whether an iteration-based scheduler in a schedule of epochs is more than a warm-up."""
    if any(name in scheduler for name in ('total_steps', 'T_max', 'milestones', 'periods')):
        return True
    if 'Exponential' in kind or 'step_size' in scheduler:
        return True
    return _decays(scheduler, kind) and scheduler.get('end') is not None


def _horizon(scheduler: ConfigDict, kind: str) -> int:
    """Iterations after which a scheduler, other than a warm-up, has finished."""
    begin = scheduler.get('begin', 0)
    if scheduler.get('end') is not None:
        return scheduler.end
    if 'milestones' in scheduler:
        return max(scheduler.milestones) + begin
    if 'periods' in scheduler:
        return sum(scheduler.periods) + begin
    for name in ('total_steps', 'T_max'):
        if name in scheduler:
            return scheduler[name] + begin
    raise ValueError(
        f'--max-iters needs the length of param_scheduler {kind}, which has none; give it an end '
        'in --cfg-options, or count it in epochs'
    )


def _list_steps(scheduler: ConfigDict, kind: str, run: int) -> None:
    """Replaces a step size by milestones, which also scale to fractions of an iteration."""
    step = scheduler.pop('step_size')
    scheduler.type = _STEPS[kind]
    scheduler.milestones = list(range(step, _length(scheduler, run), step))


def _scale_counts(scheduler: ConfigDict, scale: Scale, by_epoch: bool) -> None:
    """Converts the times that a scheduler names; all but its end count from its begin."""
    old_begin = scheduler.get('begin', 0)
    begin = scale.apply(old_begin, by_epoch)

    def since_begin(count: int) -> int:
        return scale.apply(old_begin + count, by_epoch) - begin

    if old_begin:
        scheduler.begin = begin
    if scheduler.get('end') is not None:
        scheduler.end = scale.apply(scheduler.end, by_epoch)
    for name in ('T_max', 'total_steps', 'step_size'):
        if scheduler.get(name) is not None:
            scheduler[name] = max(1, since_begin(scheduler[name]))
    if 'milestones' in scheduler:
        scheduler.milestones = [max(1, since_begin(count)) for count in scheduler.milestones]
    if 'periods' in scheduler:
        restarts = [0, *map(since_begin, itertools.accumulate(scheduler.periods))]
        periods = [after - before for before, after in itertools.pairwise(restarts)]
        weights = scheduler.get('restart_weights', [1] * len(periods))
        kept = [pair for pair in zip(periods, weights, strict=True) if pair[0] > 0]
        scheduler.periods = [period for period, _ in kept]
        scheduler.restart_weights = [weight for _, weight in kept]


def _fitted_cycle(scheduler: ConfigDict, length: int) -> ConfigDict:
    """Moves the peak of a one-cycle policy to an iteration, to the first if it cannot rise.

    mmengine's peak is where ``pct_start * total_steps - 1`` says, which no iteration need hit.
    """
    total = scheduler.total_steps = max(2, scheduler.get('total_steps') or length)
    least = 1 if scheduler.get('three_phase') and length > 1 else 0
    peak = max(least, math.ceil(_ALMOST_ONE * scheduler.get('pct_start', 0.3) * total - 1))
    if peak > 0:
        scheduler.pct_start = (peak + 1) / total
    else:  # A rise of exactly one iteration would be divided by its length of 0.
        scheduler.update(pct_start=_ALMOST_ONE / total, three_phase=False)
    return scheduler


def _fitted_decay(scheduler: ConfigDict, kind: str, scale: Scale, old_length: int) -> ConfigDict:
    begin, length = scheduler.get('begin', 0), _length(scheduler, scale.new)
    ratio = scale.old / scale.new
    if begin + length < scale.new:
        if 'Cosine' in kind:  # It has arrived after T_max iterations, and would rise again.
            arrived = scheduler.T_max = scheduler.get('T_max') or max(1, length)
            if length > arrived + 1:
                return scheduler  # It is meant to rise again.
            length = min(length, arrived)
        scheduler.end = begin + max(2, length + 1)
        ratio = (old_length - 1) / max(1, length)
    if 'Exponential' in kind:
        scheduler.gamma = scheduler.gamma**ratio
    return scheduler


def _end_of_rise(scheduler: ConfigDict, kind: str) -> ConfigDict | None:
    """Returns the rest of a rise that has one iteration or none: its last value."""
    left = scheduler.get('end_factor', 1.0) if 'Linear' in kind else 1.0
    if left == 1.0:
        return None
    scheduler.update(start_factor=left, end=scheduler.get('begin', 0) + 1)
    return scheduler
