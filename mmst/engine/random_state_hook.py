"""Exact continuation of interrupted runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from .random_state import seed_all
from .registry import HOOKS

__all__ = ['RandomStateHook']


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Makes random numbers depend on the seed and the iteration, not on what happened before.

    mmengine does not save random states, and could save only those of rank 0. With this hook there
    is nothing to save: at the start of each epoch, or before each batch of an iteration-based loop,
    python's, numpy's and torch's generators are set from the run's seed and the number of the
    iteration. Validations and interruptions leave no trace: a resumed run repeats the interrupted
    one bit for bit where its operators are deterministic. Ranks draw differently.

    In an epoch-based loop with workers, also set ``persistent_workers=False`` and
    ``worker_init_fn=dict(type='mmst.seed_worker')`` in the training data loader, or random numbers
    of workers would go on from epoch to epoch. ``tools/train.py`` does all this by itself.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Takes over the random states, and says what cannot be repeated."""
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            if not hasattr(loop, 'dataloader_iterator'):
                runner.logger.warning(
                    f'mmst.RandomStateHook sets no random states in a {type(loop).__name__}, which '
                    'lacks the dataloader_iterator of IterBasedTrainLoop: a resumed run will '
                    'differ from the uninterrupted one'
                )
                return
            # Also covers the batches that a resumed loop skips.
            loop.dataloader_iterator = _Reseeded(
                loop.dataloader_iterator, lambda step: _seed(runner, step)
            )
            return
        if loop.dataloader.persistent_workers:
            runner.logger.warning(
                'train_dataloader.persistent_workers should be False for an exact resume: the '
                'random numbers of its workers continue from epoch to epoch. Set '
                "persistent_workers=False, worker_init_fn=dict(type='mmst.seed_worker')"
            )
        if runner.iter % len(loop.dataloader):
            runner.logger.warning(
                f'The run resumes at iteration {runner.iter}, within an epoch of '
                f'{len(loop.dataloader)} iterations, which mmengine repeats from its start: the '
                'run will differ. Resume from a checkpoint at the end of an epoch'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Sets the random states of an epoch."""
        _seed(runner, runner.iter)


class _Reseeded:
    """An iterator that sets the random states by a counter before each of its steps."""

    def __init__(self, iterator: Iterator[Any], seed: Callable[[int], None]) -> None:
        self._iterator = iterator
        self._seed = seed
        self._step = 0

    def __iter__(self) -> _Reseeded:
        return self

    def __next__(self) -> Any:
        self._seed(self._step)
        self._step += 1
        return next(self._iterator)


def _seed(runner: Runner, step: int) -> None:
    seed_all(f'mmst.iteration:{runner.seed}:{step}:{runner.rank}')
