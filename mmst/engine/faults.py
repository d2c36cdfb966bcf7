"""What goes wrong in a subnet pass, said with the subnet and the size that it went wrong with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmst.core import Subnet

from .batch import SubnetBatch

__all__ = ['PassInfo', 'check_finite', 'explain_failure']


@dataclass
class PassInfo:
    """Which subnet pass is running, for messages.

    Args:
        step: Training iteration.
        index: Which subnet of this iteration.
        subnet: Which blocks run.
        batch: What the subnet sees, None before it is made.
    """

    step: int
    index: int
    subnet: Subnet
    batch: SubnetBatch | None = None

    def __str__(self) -> str:
        text = f'the pass of subnet {self.index} in iteration {self.step} ({self.subnet}'
        if self.batch is not None:
            images, _, height, width = self.batch.inputs.shape
            text += f', {images} images in a batch of {height}x{width} pixels'
        return f'{text})'


def check_finite(
    loss: Tensor,
    values: Mapping[str, Tensor],
    *,
    info: PassInfo,
    optim_wrapper: OptimWrapper,
    skip: bool,
) -> bool:
    """Tells whether the backward of a subnet pass may run.

    Where there is a loss scaler nothing is checked: it leaves out the whole step by itself when
    something overflows.

    Args:
        loss: The loss to be minimised, a scalar.
        values: Its parts, for the message.
        info: The pass.
        optim_wrapper: The run's, for its loss scaler.
        skip: Whether a loss that is not finite on some rank skips the pass on all of them, instead
            of an error.

    Raises:
        FloatingPointError: The loss is not finite, and ``skip`` is False.
    """
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if scaler is not None and scaler.is_enabled():
        return True
    finite = torch.isfinite(loss.detach()).int()
    if skip:
        all_reduce(finite, 'min')
    if finite:
        return True
    parts = ', '.join(f'{name}={value.item():g}' for name, value in values.items())
    message = f'loss of a subnet must be finite, got {parts} in {info}'
    if not skip:
        raise FloatingPointError(
            f'{message}. Parameters are as before this iteration. Lower the learning rate or the '
            "weight of subnets, begin them later, or leave such passes out with on_nonfinite='skip'"
        )
    print_log(f'{message}: skipped on all ranks', logger='current', level=logging.WARNING)
    return False


@contextmanager
def explain_failure(info: PassInfo) -> Iterator[None]:
    """Says of an exception that it comes from a subnet pass, and from which.

    Raises:
        torch.OutOfMemoryError: Memory was exhausted within the context.
    """
    try:
        yield
    except FloatingPointError:
        raise
    except Exception as error:
        if not _is_out_of_memory(error):
            print_log(f'{type(error).__name__} in {info}', logger='current', level=logging.ERROR)
            raise
        raise torch.OutOfMemoryError(
            f'out of memory in {info}: {error}\nA subnet pass frees its memory before the next one '
            'and the main network run, so fewer subnets do not help; a smaller batch, '
            'batch_fraction, smaller inputs or activation checkpointing do'
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate" in str(
        error
    )
