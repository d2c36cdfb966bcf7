"""Schedules of the weight of the subnet losses."""

from __future__ import annotations

import math

__all__ = ['WEIGHT_SCHEDULES', 'weight_factor']

WEIGHT_SCHEDULES = ('constant', 'rising', 'falling')


def weight_factor(schedule: str, progress: float) -> float:
    """Factor of the subnet weight at some point of training.

    Args:
        schedule: ``'constant'`` (always 1), ``'rising'`` (half cosine from 0 to 1) or ``'falling'``
            (half cosine from 1 to 0).
        progress: Done part of the stimulated training, in [0, 1].

    Raises:
        ValueError: The schedule is unknown.
    """
    if schedule == 'constant':
        return 1.0
    if schedule == 'rising':
        return (1 - math.cos(math.pi * progress)) / 2
    if schedule == 'falling':
        return (1 + math.cos(math.pi * progress)) / 2
    raise ValueError(f'weight_schedule must be one of {WEIGHT_SCHEDULES}, got {schedule!r}')
