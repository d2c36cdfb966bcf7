"""Input sizes that a backbone takes, found by trying."""

from __future__ import annotations

import torch
from torch import nn

from mmst.core.norm import kept_modes
from mmst.core.resize import LARGEST_STRIDE

__all__ = ['find_size_divisor']

COLOURS = 3
"""Channels of most inputs."""

BASE = 128
"""Pixels of a side that the tried sizes are above."""


def find_size_divisor(backbone: nn.Module, are_padded: bool) -> tuple[int | None, str]:
    """Finds the smallest number whose multiples a backbone takes as sides of its inputs.

    Tried are whole patches, for networks that cut the image into some, and multiples of 32.

    Args:
        backbone: The backbone, whose weights do not matter.
        are_padded: Whether inputs are padded to multiples of 32 anyway. Then the answer is 1.

    Returns:
        The number, or None if the backbone takes one size or none of those tried; and its error.
    """
    divisors = [LARGEST_STRIDE] if are_padded else sorted({_patch(backbone), LARGEST_STRIDE})
    problem = ''
    for divisor in divisors:
        # Odd multiples: no network takes these two sizes alone.
        problem = _problem(backbone, (BASE + divisor, BASE + 3 * divisor))
        if not problem:
            return 1 if are_padded else divisor, ''
    return None, problem


def _patch(backbone: nn.Module) -> int:
    """Side of the patches that the first convolution cuts out without overlap; 1 if it does not."""
    first = _first_convolution(backbone)
    if first is None or first.kernel_size != first.stride:
        return 1
    return first.stride[0]


def _first_convolution(backbone: nn.Module) -> nn.Conv2d | None:
    return next((layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)), None)


def _problem(backbone: nn.Module, sizes: tuple[int, ...]) -> str:
    """Says which of some sizes a backbone does not take; empty if it takes all."""
    first = _first_convolution(backbone)
    # Depth maps have one channel; but of YOLOX the first convolution sees slices of the image.
    problem = _problem_with(backbone, sizes, COLOURS)
    if problem and first is not None and first.in_channels != COLOURS:
        return _problem_with(backbone, sizes, first.in_channels)
    return problem


def _problem_with(backbone: nn.Module, sizes: tuple[int, ...], channels: int) -> str:
    try:
        with kept_modes(backbone), torch.no_grad():
            backbone.eval()
            for size in sizes:
                backbone(torch.zeros(1, channels, size, size))
    except Exception as error:  # whatever a network raises
        reason = str(error).strip().partition('\n')[0][:120]
        return f'it takes no {size} x {size} pixels ({type(error).__name__}: {reason})'
    return ''
