"""What must hold before a stimulated run starts."""

from __future__ import annotations

import math

from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmst.core import DepthSpace

from .inputs import RandomSmallerInput

__all__ = ['check_run', 'check_settings']

NORM_MODES = ('isolated', 'shared')


def check_settings(num_subnets: int, weight: float, begin: int, interval: int, norm: str) -> None:
    """Raises ValueError if an argument of :class:`~mmst.StimulativeHook` is out of range."""
    for name, value, least in (
        ('num_subnets', num_subnets, 1),
        ('begin', begin, 0),
        ('interval', interval, 1),
    ):
        if not isinstance(value, int) or value < least:
            raise ValueError(f'{name} must be an integer of at least {least}, got {value!r}')
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(
            f"weight must be a finite number of at least 0, got {weight!r}; 1.0 is the paper's"
        )
    if norm not in NORM_MODES:
        raise ValueError(f'norm must be one of {NORM_MODES}, got {norm!r}')


def check_run(
    runner: Runner, space: DepthSpace, inputs: RandomSmallerInput | None, begin_iter: int
) -> None:
    """Checks that subnets can be trained in this run and differ from the main network.

    Raises:
        TypeError: The kind of optimiser wrapper or model wrapper is not supported.
        ValueError: Subnets could only repeat the main pass, or would never be trained, or the
            distributed wrapper records its graph once.
    """
    if len(space) == 1 and (inputs is None or not inputs.changes_size):
        raise ValueError(
            f'choices must leave a subnet besides the full network when inputs are not made '
            f'smaller, got choices={space.choices}: a subnet pass would only repeat the main pass. '
            "Enlarge choices or set inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)"
        )
    if begin_iter >= runner.max_iters:
        raise ValueError(
            f'begin must be before the end of training, got iteration {begin_iter} of '
            f'{runner.max_iters}: no subnet would be trained'
        )
    if isinstance(runner.optim_wrapper, OptimWrapperDict):
        raise TypeError(
            'optim_wrapper must be a single OptimWrapper, got OptimWrapperDict; '
            'models with several optimisers are not supported'
        )
    if not is_model_wrapper(runner.model):
        return
    if not isinstance(runner.model, MMDistributedDataParallel):
        raise TypeError(
            'model_wrapper_cfg must be MMDistributedDataParallel (the default), got '
            f'{type(runner.model).__name__}: its gradients cannot be accumulated by subnet passes'
        )
    if runner.model.static_graph:
        raise ValueError(
            'model_wrapper_cfg.static_graph must be False, got True: the number of times a '
            'parameter is used differs between iterations; remove it'
        )
