"""An iteration with the main network as the teacher, for a loop without OpenMMLab.

It is a whole example of how the parts of the core go together. :class:`mmst.StimulativeHook` takes
the same parts, with what a training in mmengine needs besides: random states of its own for each
pass, loss scaling, accumulation, several ranks. A test compares the gradients of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .resize import resize_batch
from .skip import active_subnet
from .space import Subnet
from .state import isolated_state

__all__ = ['StepLosses', 'backward_with_subnets']


class StepLosses(NamedTuple):
    """Losses that :func:`backward_with_subnets` returns: scalars, detached."""

    main: Tensor
    subnets: tuple[Tensor, ...]


def backward_with_subnets(
    model: nn.Module,
    backbone: nn.Module,
    inputs: Tensor,
    passes: Sequence[tuple[Subnet | Sequence[int], tuple[int, int]]],
    *,
    main_loss: Callable[[Tensor], Tensor],
    subnet_loss: Callable[[Tensor, Tensor], Tensor],
    weight: float = 1.0,
) -> StepLosses:
    """Adds the gradients of an iteration of stimulative pre-training (ST++ eq. 1) to ``.grad``.

    The main network runs forward and backward, then each subnet on resized inputs, learning from
    the main network's logits. Buffers, like running statistics, see the main network only.

    Args:
        model: Maps images to logits of shape (N, number of classes).
        backbone: The part of it whose residual blocks are skipped, or the model itself.
        inputs: Normalised images of shape (N, C, H, W).
        passes: For each subnet which blocks run, and the size (height, width) of its inputs.
        main_loss: Loss of the main network's logits.
        subnet_loss: Loss of (student, teacher) logits, e.g. :func:`mmst.core.kl_minus_loss`.
        weight: Weight of each subnet's loss.

    Returns:
        The losses, without the weight.

    Raises:
        ValueError: A subnet does not fit the backbone.
    """
    logits = model(inputs)
    main = main_loss(logits)
    torch.autograd.backward(main)
    losses = []
    for subnet, size_hw in passes:
        with active_subnet(backbone, subnet), isolated_state(model):
            loss = subnet_loss(model(resize_batch(inputs, size_hw)), logits.detach())
            torch.autograd.backward(weight * loss)
        losses.append(loss.detach())
    return StepLosses(main.detach(), tuple(losses))
