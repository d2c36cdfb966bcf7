"""The name of the random choices that one subnet pass makes."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ['Draw']


@dataclass(frozen=True)
class Draw:
    """Place of a subnet (run, iteration, number), on which alone its random choices depend.

    They are the same on every rank and after resuming. ``vars(draw)`` are the keyword arguments of
    :meth:`mmst.core.DepthSpace.sample`, :func:`mmst.core.sample_size` and
    :func:`mmst.core.sample_images`.

    Args:
        seed: Seed of the run.
        step: Training iteration.
        index: Which subnet of this iteration.
    """

    seed: int
    step: int
    index: int = 0

    def key(self, choice: str) -> str:
        """Returns the name of one of its choices, from which a generator is seeded."""
        return f'mmst.{choice}:{self.seed}:{self.step}:{self.index}'

    def generator(self, choice: str) -> random.Random:
        """Returns a generator for one of its choices: none shifts the numbers of another."""
        return random.Random(self.key(choice))
