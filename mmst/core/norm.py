"""Normalisation statistics: what a subnet may do to them, and how it gets its own.

A subnet sees other activations than the main network (fewer blocks, smaller inputs), so sharing
running statistics would spoil the main network's evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .copies import preserved

__all__ = ['isolated_norm', 'recalibrate_norm']

STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


@contextmanager
def isolated_norm(module: nn.Module) -> Iterator[None]:
    """Lets norm layers in training mode use batch statistics without recording them.

    Running statistics and batch counters are the same tensors with the same values afterwards, also
    after an exception. Layers in evaluation mode (``norm_eval``) are left alone.

    Args:
        module: The whole model: necks and heads may have norm layers too.
    """
    layers = [layer for layer in _tracking_layers(module) if layer.training]
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
                layer.track_running_stats = False
            yield
        finally:
            for layer in flagged:
                layer.track_running_stats = True


@contextmanager
def recalibrate_norm(
    model: nn.Module, batches: Iterable[Any], forward: Callable[[Any], Any] | None = None
) -> Iterator[None]:
    """Gives a network normalisation statistics of its own within the context.

    Use it inside :func:`~mmst.core.active_subnet` to evaluate or export a subnet. Running
    statistics become the cumulative average over the batches; on exit everything is restored.

    Args:
        model: The network, in the state in which it will be evaluated.
        batches: Training batches, at least one.
        forward: Runs the network on one batch. Defaults to ``model(batch)``.

    Raises:
        ValueError: There is no batch, or no layer with running statistics.
    """
    layers = _tracking_layers(model)
    if not layers:
        raise ValueError('model must have a norm layer with running statistics, got none')
    training = {module: module.training for module in model.modules()}
    momentum = [layer.momentum for layer in layers]
    saved = [(buffer, buffer.clone()) for layer in layers for buffer in _statistics(layer).values()]
    try:
        for module in training:
            module.training = False
        for layer in layers:
            layer.training = True
            layer.momentum = None
            _reset(layer)
        _run(forward or model, batches)
        for layer in layers:
            layer.training = False
        for layer, value in zip(layers, momentum, strict=True):
            layer.momentum = value
        yield
    finally:
        for module, mode in training.items():
            module.training = mode
        for layer, value in zip(layers, momentum, strict=True):
            layer.momentum = value
        for buffer, copy in saved:
            buffer.copy_(copy)


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
