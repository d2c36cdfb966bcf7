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

_TOO_FEW_VALUES = 'Expected more than 1 value per channel when training'


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

    A loss scaler (mixed precision) leaves out the whole step when something overflows, and tries
    the next one with a lower scale. An error comes only where a lower scale did not help: once it
    is below 1.

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
    finite = torch.isfinite(loss.detach()).int()
    finite_here = bool(finite)
    if skip:
        all_reduce(finite, 'min')
    if finite:
        return True
    parts = ', '.join(f'{name}={value.item():g}' for name, value in values.items())
    message = f'loss of a subnet must be finite, got {parts} in {info}'
    if finite_here:
        message = f'loss of a subnet must be finite on all ranks, is not on another one, in {info}'
    if skip:
        print_log(f'{message}: skipped on all ranks', logger='current', level=logging.WARNING)
        return False
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if scaler is not None and scaler.is_enabled() and scaler.get_scale() >= 1:
        print_log(
            f'{message}: the loss scaler leaves out this step, at scale {scaler.get_scale():g}',
            logger='current',
            level=logging.WARNING,
        )
        return True
    raise FloatingPointError(
        f'{message}. Parameters are as before this iteration. Lower the learning rate or the '
        "weight of subnets, begin them later, or leave such passes out with on_nonfinite='skip'"
    )


@contextmanager
def explain_failure(info: PassInfo) -> Iterator[None]:
    """Says of an exception that it comes from a subnet pass, and from which.

    Raises:
        torch.OutOfMemoryError: Memory was exhausted within the context.
        ValueError: A norm layer in training mode was left with one value per channel.
    """
    try:
        yield
    except FloatingPointError:
        raise
    except Exception as error:
        if _TOO_FEW_VALUES in str(error):
            raise ValueError(
                'norm layers in training mode must see more than one value per channel, got one in '
                f'{info}: {error}. Raise min_ratio or batch_fraction, so that a subnet keeps more '
                'pixels or images, take larger batches, or set norm_eval=True'
            ) from error
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
