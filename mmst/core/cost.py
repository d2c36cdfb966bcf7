"""FLOPs of a network and of its residual blocks, and the share that a subnet has of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .space import DepthSpace, Subnet
from .stages import Block, residual_stages

__all__ = ['BlockShapeError', 'DepthCost', 'count_flops', 'depth_cost']


class BlockShapeError(ValueError):
    """A block does not return a tensor of its input's shape, so it cannot be skipped."""


@dataclass(frozen=True)
class DepthCost:
    """FLOPs of a network and of the residual blocks of its backbone.

    Args:
        total: FLOPs of the whole network.
        blocks: FLOPs of each block of each stage.
    """

    total: int
    blocks: tuple[tuple[int, ...], ...]

    def ratio(self, subnet: Subnet) -> float:
        """FLOPs of a subnet over those of the whole network, at equal input size."""
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


@torch.no_grad()
def count_flops(
    forward: Callable[[], object], model: nn.Module, backbone: nn.Module | None = None
) -> DepthCost:
    """Counts the FLOPs of a forward pass; a multiplication and an addition are two.

    Args:
        forward: Runs ``model`` once.
        model: The network that is counted, on any device, ``meta`` included.
        backbone: The part of it, or ``model`` itself, whose residual blocks are counted one by one.
            Defaults to none.
    """
    with FlopCounterMode(display=False) as counter:
        forward()
    counts, root = counter.get_flop_counts(), type(model).__name__
    names = {module: f'{root}.{name}' for name, module in model.named_modules()}
    stages = [] if backbone is None else residual_stages(backbone)
    blocks = tuple(
        tuple(sum(counts.get(names[block.module], {}).values()) for block in stage)
        for stage in stages
    )
    return DepthCost(counter.get_total_flops(), blocks)


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
    for block in (block for stage in residual_stages(twin) for block in stage[1:]):
        _verify_shape(block, names[block.module])
    others = _required_arguments(twin)
    images = torch.empty(1, 3, *input_hw, device='meta')
    return count_flops(lambda: twin(images, **others), twin, twin)


def _required_arguments(backbone: nn.Module) -> dict[str, None]:
    """None for each argument that a forward needs besides images: a mask of None masks nothing."""
    others = list(inspect.signature(backbone.forward).parameters.values())[1:]
    named = (p for p in others if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return {p.name: None for p in named if p.default is p.empty}


def _verify_shape(block: Block, name: str) -> None:
    """Makes each call of a block check that it keeps the shapes of its states."""

    def verify(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        given = inputs[0] if block.num_states == 1 else inputs[: block.num_states]
        shapes = [_shape(value) for value in (given, output)]
        if shapes[0] != shapes[1]:
            raise BlockShapeError(
                f'block {name!r} must keep the shape of its input to be skippable, '
                f'got {shapes[0]}, returned {shapes[1]}'
            )

    block.module.register_forward_hook(verify)


def _shape(value: object) -> object:
    """Shape of a tensor; those of several, or sizes, as they are."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return tuple(map(_shape, value)) if isinstance(value, (tuple, list)) else value
