"""A subnet of the trained network with its own norm statistics, evaluated or exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce_params
from mmengine.runner import Runner
from torch import nn

from mmst.config.options import set_seed
from mmst.config.traversal import type_name
from mmst.core import active_subnet, isolated_state, recalibrate_norm, residual_stages
from mmst.core.norm import kept_modes, learning_norm_layers
from mmst.engine.model_parts import find_backbone, unwrapped
from mmst.engine.random_state import private_random_state

from .loaders import TrainingBatches, loss_forward

__all__ = [
    'active_evaluated_subnet',
    'check_recalibrate',
    'default_recalibrate',
    'numbers',
    'parse_depths',
    'prepare_subnet_test',
    'recalibrated_subnet',
    'run_subnet_test',
]

RECALIBRATION_BATCHES = 100
"""Training batches from which a subnet's norm statistics are computed by default."""


def parse_depths(text: str) -> tuple[int, ...]:
    """Reads ``'2,3,4,2'``.

    Raises:
        ValueError: It is no list of positive integers.
    """
    try:
        depths = tuple(int(part) for part in text.split(','))
    except ValueError:
        depths = ()
    if not depths or min(depths) < 1:
        raise ValueError(
            f'--depths must be positive integers separated by commas, one per stage, got {text!r}; '
            'for example 2,3,4,2'
        )
    return depths


def check_recalibrate(recalibrate: int | None) -> None:
    """Checks a number of training batches; None means the default.

    Raises:
        ValueError: It is negative.
    """
    if recalibrate is not None and recalibrate < 0:
        raise ValueError(f'--recalibrate must be at least 0, got {recalibrate}')


def prepare_subnet_test(cfg: Config) -> Config:
    """Edits a config, in place, so that :func:`run_subnet_test` can test it, repeatably.

    A run without seed gets seed 0, which decides the batches of the recalibration. mmengine's EMA
    hook goes: checkpoints hold the averaged weights as the model's own, so the hook would swap them
    for a copy of themselves, parameter by parameter in order, which fails where blocks are skipped.
    """
    if (cfg.get('randomness') or {}).get('seed') is None:
        set_seed(cfg, 0)
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [hook for hook in hooks if type_name(hook) != 'EMAHook']
    return cfg


def run_subnet_test(
    runner: Runner,
    depths: tuple[int, ...],
    recalibrate: int | None = None,
    batches: TrainingBatches | None = None,
) -> dict[str, Any]:
    """Loads the checkpoint into the whole network, then tests a subnet of it.

    Args:
        runner: Runner of a config from :func:`prepare_subnet_test`.
        depths: Leading blocks kept in each stage of the backbone.
        recalibrate: Training batches to recompute norm statistics from, 0 for none. Defaults to 100
            if training would update the statistics of the main network (which do not suit a
            subnet), else to none.
        batches: Where the training batches come from, for several subnets of a runner. Defaults to
            a data set that is built for this one.

    Returns:
        The metrics.

    Raises:
        ValueError: ``depths`` do not fit the backbone, or ``recalibrate`` is negative.
    """
    with recalibrated_subnet(runner, depths, recalibrate, batches):
        return runner.test()


@contextlib.contextmanager
def recalibrated_subnet(
    runner: Runner,
    depths: tuple[int, ...],
    recalibrate: int | None = None,
    batches: TrainingBatches | None = None,
) -> Iterator[nn.Module]:
    """Loads the checkpoint into the whole network, which is a subnet within the context.

    Its norm statistics are then its own. They depend on checkpoint, config, seed and depths alone:
    neither on what ran before, nor does the context change random numbers drawn after it.

    Args:
        runner: Runner of a config from :func:`prepare_subnet_test`.
        depths: Leading blocks kept in each stage of the backbone.
        recalibrate: As in :func:`run_subnet_test`.
        batches: As in :func:`run_subnet_test`.

    Yields:
        The model, without wrappers of distribution or test-time augmentation.

    Raises:
        ValueError: ``depths`` do not fit the backbone, or ``recalibrate`` is negative.
    """
    check_recalibrate(recalibrate)
    model = unwrapped(runner.model)
    if recalibrate is None:
        recalibrate = default_recalibrate(model, depths)
    find_backbone(model)  # an error before anything is read
    runner.load_or_resume()
    batches = batches or TrainingBatches(runner)
    with active_evaluated_subnet(runner, depths, recalibrate, batches) as model:
        yield model


@contextlib.contextmanager
def active_evaluated_subnet(
    runner: Runner, depths: tuple[int, ...], recalibrate: int, batches: TrainingBatches
) -> Iterator[nn.Module]:
    """Makes the model of a runner one of its subnets, with norm statistics of its own.

    On exit the model is as it was: blocks, norm statistics, other buffers and registered state
    (:func:`mmst.core.register_state`). Neither random states nor data of the run are touched.

    Args:
        runner: The runner, whose model has the weights to evaluate.
        depths: Leading blocks kept in each stage of the backbone.
        recalibrate: Training batches to recompute norm statistics from, 0 for none.
        batches: Where they come from.

    Yields:
        The model, without wrappers of distribution or test-time augmentation.

    Raises:
        ValueError: ``depths`` do not fit the backbone.
    """
    model = unwrapped(runner.model)
    with contextlib.ExitStack() as stack:
        stack.enter_context(isolated_state(model, norm=False))
        stack.enter_context(active_subnet(find_backbone(model), depths))
        if recalibrate:
            device = next(model.parameters()).device
            with private_random_state(f'mmst.recalibrate:{runner.seed}', device):
                taken, forward = batches.take(recalibrate), loss_forward(model)
                stack.enter_context(recalibrate_norm(model, taken, forward))
            _average_over_ranks(model)
        yield model


def default_recalibrate(model: nn.Module, depths: tuple[int, ...]) -> int:
    """Returns from how many training batches a subnet's statistics are computed by default.

    Raises:
        ValueError: The model has no backbone.
    """
    full = tuple(len(stage) for stage in residual_stages(find_backbone(model)))
    return RECALIBRATION_BATCHES if depths != full and _has_live_norm(model) else 0


def _has_live_norm(model: nn.Module) -> bool:
    """Tells whether training would update norm statistics (not with ``norm_eval``)."""
    with kept_modes(model):
        model.train()
        return any(layer.training for layer in learning_norm_layers(model))


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics that are numbers (there are lists, of one number a class)."""
    return {name: float(value) for name, value in metrics.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _average_over_ranks(model: nn.Module) -> None:
    """Averages the statistics that were recomputed, and are restored, over the ranks."""
    buffers = [
        buffer
        for layer in learning_norm_layers(model)
        for name, buffer in layer.named_buffers(recurse=False)
        if name in ('running_mean', 'running_var')
    ]
    with torch.no_grad():
        all_reduce_params(buffers, op='mean')
