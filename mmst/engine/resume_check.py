"""Comparison of the settings of a resumed run with those of the interrupted one."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger

from mmengine.dist import broadcast_object_list

__all__ = ['CHECKPOINT_KEY', 'common_seed', 'warn_of_changes']

CHECKPOINT_KEY = 'mmst_stimulative'
"""Key under which a checkpoint keeps the settings of stimulative training."""


def warn_of_changes(before: Mapping[str, str], now: Mapping[str, str], logger: Logger) -> None:
    """Warns that a resumed run will differ from the uninterrupted one, and why.

    Args:
        before: Settings of the interrupted run, empty if its checkpoint has none.
        now: Settings of this run.
        logger: The run's.
    """
    if not before:
        logger.warning(
            'This run resumes one without mmst.StimulativeHook: it will differ from a run that is '
            'stimulated from its start'
        )
        return
    changes = [
        f'{name} was {before.get(name)}, is {now.get(name)}'
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changes:
        logger.warning(
            'This run resumes one with other settings of mmst.StimulativeHook and will differ from '
            f'it: {"; ".join(changes)}'
        )


def common_seed(seed: int) -> int:
    """Returns the seed of rank 0: with ``diff_rank_seed`` each rank has its own."""
    seeds = [seed]
    broadcast_object_list(seeds)
    return seeds[0]
