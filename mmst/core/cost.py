"""What a subnet costs, in floating-point operations of the backbone's forward pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .space import DepthSpace, Subnet
from .stages import residual_stages

__all__ = ['BlockShapeError', 'DepthCost', 'depth_cost']


class BlockShapeError(ValueError):
    """A block that could be skipped returns something else than a tensor of its input's shape."""


@dataclass(frozen=True)
class DepthCost:
    """FLOPs of a backbone and of its blocks.

    Args:
        total: FLOPs of the whole backbone.
        blocks: FLOPs of each block of each stage.
    """

    total: int
    blocks: tuple[tuple[int, ...], ...]

    def ratio(self, subnet: Subnet) -> float:
        """FLOPs of a subnet over those of the whole backbone, at equal input size."""
        kept = [
            [float(i in stage) for i in range(len(flops))]
            for stage, flops in zip(subnet.blocks, self.blocks, strict=True)
        ]
        return self._ratio(kept)

    def expected_ratio(self, space: DepthSpace) -> float:
        """Expectation of :meth:`ratio` over a space."""
        return self._ratio(space.keep_probability())

    def _ratio(self, keep: Sequence[Sequence[float]]) -> float:
        skipped = sum(
            flops * (1 - probability)
            for stage, probabilities in zip(self.blocks, keep, strict=True)
            for flops, probability in zip(stage, probabilities, strict=True)
        )
        return 1 - skipped / self.total


def depth_cost(backbone: nn.Module, input_hw: tuple[int, int] = (128, 128)) -> DepthCost:
    """Counts the FLOPs of a backbone and of its residual blocks, without computing anything.

    The counting runs on a copy of the backbone on torch's ``meta`` device. Ratios hardly depend on
    the input size as long as it is a multiple of the backbone's stride. On the way it is verified
    that skippable blocks keep the shape of their input.

    Args:
        backbone: A backbone that :func:`residual_stages` knows.
        input_hw: Size in pixels of the image of three channels that is counted. Some transformers
            take one size only, or none smaller than their windows.

    Raises:
        BlockShapeError: A block that could be skipped changes the shape of its input.
        RuntimeError: An operator of the backbone has no ``meta`` version.
    """
    twin = copy.deepcopy(backbone)
    for module in twin.modules():
        # A forward of its own (activation checkpointing) is a closure that runs the original.
        vars(module).pop('forward', None)
    twin.to('meta')
    twin.train(False)
    names = {module: name for name, module in twin.named_modules()}
    stages = residual_stages(twin)
    for block in (block for stage in stages for block in stage[1:]):
        _verify_shape(block.module, names[block.module])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(torch.empty(1, 3, *input_hw, device='meta'))
    counts = counter.get_flop_counts()
    root = type(twin).__name__
    blocks = tuple(
        tuple(sum(counts.get(f'{root}.{names[block.module]}', {}).values()) for block in stage)
        for stage in stages
    )
    return DepthCost(counter.get_total_flops(), blocks)


def _verify_shape(block: nn.Module, name: str) -> None:
    """Makes each call of a block check that it keeps the shape of its first argument."""

    def verify(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        shapes = [_shape(value) for value in (*inputs[:1], output)]
        if len(set(shapes)) > 1:
            raise BlockShapeError(
                f'block {name!r} must keep the shape of its input to be skippable, '
                f'got {shapes[0]}, returned {shapes[1]}'
            )

    block.register_forward_hook(verify)


def _shape(value: object) -> object:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
