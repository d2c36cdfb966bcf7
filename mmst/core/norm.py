"""Normalisation statistics: isolated from subnets, and recomputed for a subnet.

A subnet sees other activations than the main network (fewer blocks, smaller inputs), so sharing
running statistics would spoil the main network's evaluation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .copies import preserved

__all__ = ['isolated_norm', 'learning_norm_layers', 'recalibrate_norm']

STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


@contextmanager
def isolated_norm(module: nn.Module) -> Iterator[None]:
    """Lets norm layers in training mode use batch statistics without recording them.

    Running statistics and batch counters are the same tensors with the same values afterwards, also
    after an exception. Layers in evaluation mode (``norm_eval``) are left alone.

    Args:
        module: The whole model: necks and heads may have norm layers too.
    """
    with isolated_layers(module.modules()):
        yield


@contextmanager
def isolated_layers(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Does what :func:`isolated_norm` does to those of some modules that are norm layers."""
    layers: list[Any] = [layer for layer in modules if _is_tracking(layer) and layer.training]
    flagged = [layer for layer in layers if isinstance(layer, _BatchNorm)]
    # Others (InstanceNorm, mmcv's SyncBatchNorm) ignore the flag: they record into copies.
    others = [
        (layer, name)
        for layer in layers
        if not isinstance(layer, _BatchNorm)
        for name in _statistics(layer)
    ]
    with preserved(others):
        try:
            for layer in flagged:
                # Not setattr, with which a module first looks for a parameter of that name.
                vars(layer)['track_running_stats'] = False
            yield
        finally:
            for layer in flagged:
                vars(layer)['track_running_stats'] = True


@contextmanager
def recalibrate_norm(
    model: nn.Module, batches: Iterable[Any], forward: Callable[[Any], Any] | None = None
) -> Iterator[None]:
    """Recomputes the normalisation statistics of a network within the context.

    Use it inside :func:`~mmst.core.active_subnet` to evaluate or export a subnet. Running
    statistics become the cumulative average over the batches; on exit everything is restored.
    Layers that keep theirs in training too (``FrozenBatchNorm2d``), and those that the batches do
    not reach, are left alone.

    Args:
        model: The network, in the state in which it will be evaluated.
        batches: Training batches, at least one.
        forward: Runs the network on one batch. Defaults to ``model(batch)``.

    Raises:
        ValueError: There is no batch, or no layer whose running statistics training changes.
    """
    training = {module: module.training for module in model.modules()}
    layers = learning_norm_layers(model)
    momentum = [layer.momentum for layer in layers]
    saved = [(buffer, buffer.clone()) for layer in layers for buffer in _statistics(layer).values()]
    averages = []
    try:
        if not layers:
            raise ValueError(
                'model must have a norm layer whose running statistics change in training, got '
                'none: there is nothing to recalibrate'
            )
        for module in training:
            module.training = False
        for layer in layers:
            layer.training = True
        averages = [_average_over_calls(layer) for layer in layers]
        _run(forward or model, batches)
        for layer, value in zip(layers, momentum, strict=True):
            layer.training = False
            layer.momentum = value
        yield
    finally:
        for average in averages:
            average.remove()
        for module, mode in training.items():
            module.training = mode
        for layer, value in zip(layers, momentum, strict=True):
            layer.momentum = value
        for buffer, copy in saved:
            buffer.copy_(copy)


def learning_norm_layers(model: nn.Module) -> list[Any]:
    """Finds the norm layers whose running statistics change when they are in training mode.

    Frozen ones have no momentum, or refuse that mode. Modes are as before.
    """
    layers = [layer for layer in _tracking_layers(model) if hasattr(layer, 'momentum')]
    return [layer for layer in layers if _can_train(layer)]


def _can_train(layer: nn.Module) -> bool:
    with kept_modes(layer):
        layer.train()
        return layer.training


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Restores on exit which modules are in training mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _average_over_calls(layer: Any) -> Any:
    """Makes a layer in training mode average its statistics over all calls, until removed.

    ``momentum=None`` would do so in BatchNorm, but InstanceNorm would record nothing.
    """
    calls = itertools.count(1)

    def before(layer: Any, _inputs: Any) -> None:
        call = next(calls)
        if call == 1:
            _reset(layer)
        layer.momentum = 1 / call

    return layer.register_forward_pre_hook(before)


@torch.no_grad()
def _run(forward: Callable[[Any], Any], batches: Iterable[Any]) -> None:
    count = 0
    for batch in batches:
        forward(batch)
        count += 1
    if count == 0:
        raise ValueError(
            'batches must hold at least one batch to recalibrate norm statistics, got none'
        )


def _tracking_layers(module: nn.Module) -> list[Any]:
    """Norm layers that keep running statistics."""
    return [layer for layer in module.modules() if _is_tracking(layer)]


def _is_tracking(layer: nn.Module) -> bool:
    # Not getattr, which takes a microsecond for each of the many modules without such a name.
    has_statistics = layer._buffers.get('running_mean') is not None
    return has_statistics and vars(layer).get('track_running_stats', True)


def norm_statistics(module: nn.Module) -> tuple[str, ...]:
    """Names of the buffers in which a module keeps running statistics, if it is a norm layer."""
    return STATISTICS if _is_tracking(module) else ()


def _statistics(layer: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer for name, buffer in layer.named_buffers() if name in STATISTICS}


def _reset(layer: nn.Module) -> None:
    for name, buffer in _statistics(layer).items():
        buffer.fill_(1 if name == 'running_var' else 0)
