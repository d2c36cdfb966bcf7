"""Random states that depend on a name alone."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import get_worker_info

from .registry import FUNCTIONS

__all__ = ['private_random_state', 'seed_all', 'seed_worker']


def seed_all(key: str) -> None:
    """Sets python's, numpy's and torch's (all devices) global generators by a name."""
    torch.manual_seed(_seed_python(key))


def _seed_python(key: str) -> int:
    """Sets python's and numpy's generators by a name; returns the seed for torch's."""
    seed = random.Random(key).getrandbits(32)
    random.seed(seed)
    np.random.seed(seed)
    return seed


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
    # Not torch.random.fork_rng and torch.manual_seed, which take time even without a GPU.
    generators = [torch.default_generator]
    if device.type == 'cuda':
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    torch_states = [generator.get_state() for generator in generators]
    try:
        seed = _seed_python(key)
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, torch_states, strict=True):
            generator.set_state(state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seeds a data loading worker by its epoch, its rank and itself.

    For ``worker_init_fn`` of a data loader. mmengine's own gives workers the same random numbers in
    each epoch in which they are started again.

    Args:
        worker_id: Which worker; torch has added it to the seed of the epoch.

    Raises:
        RuntimeError: This process is not a data loading worker.
    """
    worker = get_worker_info()
    if worker is None:
        raise RuntimeError(
            'seed_worker must run in a data loading worker, got another process; set it as the '
            'worker_init_fn of a data loader'
        )
    seed_all(f'mmst.worker:{worker.seed}:{os.environ.get("RANK", 0)}')
