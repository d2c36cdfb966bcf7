"""Failures of a subnet pass, reported with its subnet and size."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor

__all__ = ['LossCheck', 'explain_failure']

MOST_LEFT_OUT = 50
"""Steps in a row that a loss scaler may leave out, twice what a dynamic scale takes to reach 1."""

_TOO_FEW_VALUES = 'Expected more than 1 value per channel when training'


class LossCheck:
    """Decides what happens when the loss of a subnet is not finite.

    Reading a loss makes the host wait for the device. So an error is decided on once an iteration,
    when the optimiser is about to step; only leaving out passes needs an answer at each pass.

    Args:
        optim_wrapper: The run's, for its loss scaler. With one (mixed precision) a step is left out
            when something overflows, and the next is tried with a lower scale. An error comes only
            where that did not help: once the scale is below 1, or after 50 such steps in a row (a
            scale may be fixed).
        skip: Whether a loss that is not finite on some rank skips the pass on all of them, instead
            of an error.
    """

    def __init__(self, optim_wrapper: OptimWrapper, skip: bool) -> None:
        self._optim_wrapper = optim_wrapper
        self._skip = skip
        self._unread: list[tuple[str, Tensor, Mapping[str, Tensor]]] = []
        self._left_out = 0

    def accept(self, subnet_pass: object, loss: Tensor, values: Mapping[str, Tensor]) -> bool:
        """Tells whether the backward of a subnet pass may run.

        Args:
            subnet_pass: The pass, for messages: its text says which one it is.
            loss: The loss to be minimised, a scalar.
            values: Its parts, for the message.
        """
        if not self._skip:
            detached = {name: value.detach() for name, value in values.items()}
            self._unread.append((str(subnet_pass), loss.detach(), detached))
            return True
        finite = torch.isfinite(loss.detach())
        is_finite_here = bool(finite)
        finite = finite.int()
        all_reduce(finite, 'min')
        if finite:
            return True
        text = str(subnet_pass)
        message = _not_finite_elsewhere(text) if is_finite_here else _not_finite(text, values)
        print_log(f'{message}: skipped on all ranks', logger='current', level=logging.WARNING)
        return False

    def read(self) -> None:
        """Looks at the losses of the passes since the last time.

        Raises:
            FloatingPointError: One is not finite.
        """
        unread, self._unread = self._unread, []
        if not unread:
            return
        finite = torch.stack([loss for _, loss, _ in unread]).isfinite().all().int()
        all_reduce(finite, 'min')  # gradients are averaged: one rank spoils them all
        if finite:
            self._left_out = 0
            return
        message = next(
            (_not_finite(text, values) for text, loss, values in unread if not loss.isfinite()),
            _not_finite_elsewhere(unread[0][0]),
        )
        scaler = getattr(self._optim_wrapper, 'loss_scaler', None)
        self._left_out += 1
        may_recover = self._left_out < MOST_LEFT_OUT
        if scaler is not None and scaler.is_enabled() and scaler.get_scale() >= 1 and may_recover:
            print_log(
                f'{message}: the loss scaler skips this step, its scale is {scaler.get_scale():g}',
                logger='current',
                level=logging.WARNING,
            )
            return
        raise FloatingPointError(
            f'{message}. Parameters are as before this iteration. Lower the learning rate or the '
            'weight of subnets, begin them later, or skip such passes with '
            "on_nonfinite='skip'"
        )

    def forget(self) -> None:
        """Drops what an interrupted iteration may have left."""
        self._unread = []


def _not_finite_elsewhere(text: str) -> str:
    return f'loss of a subnet must be finite on all ranks, is not on another one, in {text}'


def _not_finite(text: str, values: Mapping[str, Tensor]) -> str:
    parts = ', '.join(f'{name}={value.item():g}' for name, value in values.items())
    return f'loss of a subnet must be finite, got {parts} in {text}'


@contextmanager
def explain_failure(subnet_pass: object) -> Iterator[None]:
    """Says of an exception that it comes from a subnet pass, and from which.

    Args:
        subnet_pass: The pass. Its text says which one it is, as far as it has come by then.

    Raises:
        torch.OutOfMemoryError: Memory was exhausted within the context.
        ValueError: A norm layer in training mode was left with one value per channel.
    """
    try:
        yield
    except FloatingPointError:
        raise
    except Exception as error:
        where = str(subnet_pass)
        if _TOO_FEW_VALUES in str(error):
            raise ValueError(
                'norm layers in training mode must see more than one value per channel, got one in '
                f'{where}: {error}. Raise min_ratio or batch_fraction, so that a subnet keeps more '
                'pixels or images, take larger batches, or set norm_eval=True'
            ) from error
        if not _is_out_of_memory(error):
            print_log(f'{type(error).__name__} in {where}', logger='current', level=logging.ERROR)
            raise
        raise torch.OutOfMemoryError(
            f'out of memory in {where}: {error}\nA subnet pass frees its memory before the next '
            'one runs, so fewer subnets do not help; a smaller batch, '
            'batch_fraction, smaller inputs or activation checkpointing do'
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate" in str(
        error
    )
