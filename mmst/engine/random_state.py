"""Random states of its own for a subnet pass."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ['private_random_state']


@contextmanager
def private_random_state(key: str, device: torch.device) -> Iterator[None]:
    """Runs a block under random states that depend on nothing but ``key``.

    Proposal sampling, dropout and the like inside draw from python's, numpy's and torch's global
    generators; on exit these are where they were, so that the code after the block draws what it
    would have drawn without it.

    Args:
        key: Names the draw, e.g. by seed, iteration and index.
        device: The device that is computed on; the generator of a CUDA device is covered too.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [device] if device.type == 'cuda' else []
    seed = random.Random(key).getrandbits(32)
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
