"""What must hold before a stimulated run starts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import ApexOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner

from mmst.core import DepthSpace, weight_factor
from mmst.core.subset import check_batch_fraction

from .inputs import RandomSmallerInput

__all__ = ['check_epochs', 'check_run', 'check_settings', 'check_step']

CHOICES = {'norm': ('isolated', 'shared'), 'on_nonfinite': ('stop', 'skip')}


def check_settings(
    *,
    supervision: object,
    inputs: object,
    num_subnets: int,
    weight: float,
    begin: int,
    interval: int,
    batch_fraction: float,
    weight_schedule: str,
    **choices: str,
) -> None:
    """Raises ValueError if an argument of :class:`~mmst.StimulativeHook` is out of range."""
    for name, config, example in (
        ('supervision', supervision, 'GroundTruthSupervision'),
        ('inputs', inputs, 'RandomSmallerInput'),
    ):
        if not (
            isinstance(config, Mapping) and 'type' in config or (name, config) == ('inputs', None)
        ):
            raise ValueError(
                f"{name} must be a config with a type, e.g. dict(type='mmst.{example}'), "
                f'got {config!r}'
            )
    for name, value, least in (
        ('num_subnets', num_subnets, 1),
        ('begin', begin, 0),
        ('interval', interval, 1),
    ):
        if type(value) is not int or value < least:
            raise ValueError(f'{name} must be an integer of at least {least}, got {value!r}')
    if not (isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0):
        raise ValueError(
            f"weight must be a finite number of at least 0, got {weight!r}; 1.0 is the paper's"
        )
    check_batch_fraction(batch_fraction)
    weight_factor(weight_schedule, 0.0)
    for name, value in choices.items():
        if value not in CHOICES[name]:
            raise ValueError(f'{name} must be one of {CHOICES[name]}, got {value!r}')


def check_epochs(runner: Runner) -> None:
    """Raises ValueError unless the training loop counts epochs."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            'by_epoch must be False in an iteration-based loop, got True with '
            f'{type(runner.train_loop).__name__}; give begin in iterations'
        )


def check_run(
    runner: Runner, space: DepthSpace, inputs: RandomSmallerInput | None, any_pass: bool
) -> None:
    """Checks that this run trains subnets, and that they differ from the main network.

    Args:
        runner: The run, before its first iteration.
        space: The space that subnets are drawn from.
        inputs: The rule of their input size.
        any_pass: Whether some iteration of the run trains subnets, by begin, interval and schedule.

    Raises:
        ValueError: Subnets could only repeat the main pass, or would never be trained.
    """
    repeats = len(space) == 1 and space.rule != 'raw'
    if repeats and (inputs is None or not inputs.changes_size):
        raise ValueError(
            f'choices must leave a subnet besides the full network when inputs are not made '
            f'smaller, got choices={space.choices}: a subnet pass would only repeat the main pass. '
            "Enlarge choices or set inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)"
        )
    if not any_pass:
        raise ValueError(
            'begin, interval and weight_schedule must leave an iteration in which subnets are '
            f'trained, got none in the {runner.max_iters} iterations of this run; begin earlier '
            'or shorten the interval'
        )


def check_step(runner: Runner) -> None:
    """Checks that the training step is one whose gradients subnet passes can add to.

    Args:
        runner: The run, before its first iteration.

    Raises:
        TypeError: The kind of optimiser wrapper or model wrapper is not supported.
        ValueError: The step is compiled, or the distributed wrapper records its graph once.
    """
    if runner.cfg.get('compile'):
        raise ValueError(
            f'compile must be off in a stimulated run, got {runner.cfg.compile!r}: every subnet '
            'and every input size would be compiled anew, far slower than without; remove it'
        )
    wrapper = runner.optim_wrapper
    shares_scale = isinstance(wrapper, OptimWrapper)
    if not shares_scale or isinstance(wrapper, (OptimWrapperDict, ApexOptimWrapper)):
        raise TypeError(
            'optim_wrapper must be a single OptimWrapper or AmpOptimWrapper, got '
            f'{type(wrapper).__name__}, whose loss scale a subnet pass cannot share'
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
