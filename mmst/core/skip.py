"""Skipping of residual blocks in a backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .placeholder import Removed, Skip
from .space import Subnet
from .stages import Block, Stages, check_raw, residual_stages

__all__ = ['active_subnet', 'prune_to_subnet']


@contextmanager
def active_subnet(backbone: nn.Module, subnet: Subnet | Sequence[int]) -> Iterator[nn.Module]:
    """Makes a backbone run as one of its subnets (ST++ section 3.2.2).

    Each skipped block is replaced in its parent by a parameter-free identity; in a raw subnet the
    input of each kept one, but a stage's first, is subtracted from its output. On exit, also by an
    exception, the very same modules are back under the same names: keys, buffers, ``requires_grad``
    and training mode are never touched. Call ``backward`` inside the context when activation
    checkpointing is on, because it runs the forward again.

    Args:
        backbone: A backbone that :func:`residual_stages` knows.
        subnet: A subnet, or the number of leading blocks kept in each stage.

    Yields:
        The backbone.

    Raises:
        ValueError: The subnet does not fit the backbone, or is raw and an activation follows the
            addition in its blocks.
    """
    stages, subnet = residual_stages(backbone), _as_subnet(subnet)
    blocks = _skipped(stages, subnet)
    originals = [block.module for block in blocks]
    handles = []
    try:
        if subnet.raw:
            check_raw(backbone)
            kept = (
                stage[index]
                for stage, at in zip(stages, subnet.blocks, strict=True)
                for index in at[1:]
            )
            handles = [block.module.register_forward_hook(_branch_alone) for block in kept]
        for block in blocks:
            setattr(block.parent, block.name, Skip(block.module, block.num_states))
        yield backbone
    finally:
        for block, original in zip(blocks, originals, strict=True):
            setattr(block.parent, block.name, original)
        for handle in handles:
            handle.remove()


def prune_to_subnet(backbone: nn.Module, depths: Sequence[int]) -> None:
    """Permanently removes the last blocks of each stage, in place.

    The remaining blocks keep their names, so the state dict is a part of the full network's. Layer
    numbers (``out_indices``, ``frozen_stages``) keep their meaning too, because something without
    parameters stands in the place of each removed block.

    Args:
        backbone: A backbone that :func:`residual_stages` knows.
        depths: Number of leading blocks to keep in each stage.

    Raises:
        ValueError: ``depths`` does not fit the backbone.
    """
    for block in _skipped(residual_stages(backbone), Subnet(tuple(depths))):
        setattr(block.parent, block.name, Removed(block.module, block.num_states))


def _branch_alone(block: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    if isinstance(output, Tensor):
        return output - inputs[0]
    states = zip(inputs, output, strict=False)  # more inputs than states
    return tuple(new - old if isinstance(new, Tensor) else new for old, new in states)


def _as_subnet(subnet: Subnet | Sequence[int]) -> Subnet:
    return subnet if isinstance(subnet, Subnet) else Subnet(tuple(subnet))


def _skipped(stages: Stages, subnet: Subnet) -> list[Block]:
    full = tuple(len(stage) for stage in stages)
    fits = len(subnet.depths) == len(full) and all(
        kept[-1] < depth for kept, depth in zip(subnet.blocks, full, strict=True)
    )
    if not fits:
        raise ValueError(
            f'subnet must lie within stages of {full} blocks, got {subnet}; '
            'give one number between 1 and the number of blocks per stage'
        )
    return [
        block
        for stage, kept in zip(stages, subnet.blocks, strict=True)
        for index, block in enumerate(stage)
        if index not in kept
    ]
