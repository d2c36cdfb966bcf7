"""Summary of stimulative training at the start of a run."""

from __future__ import annotations

from logging import Logger
from typing import cast

from torch import nn

from mmst.core import DepthCost, DepthSpace, depth_cost
from mmst.core.cost import BlockShapeError

from .expected_cost import ExpectedCost
from .inputs import RandomSmallerInput
from .schedule import Schedule

__all__ = ['count_depth_cost', 'summarize']

COUNTED_SIZES = (128, 224, 256)
"""Sizes in pixels at which FLOPs are counted: the first that the backbone takes.

After them comes the size that it is made for, if it says so.
"""


def count_depth_cost(backbone: nn.Module, logger: Logger) -> DepthCost | None:
    """Counts the backbone's FLOPs; where that fails, for whatever reason, only logs it.

    Raises:
        BlockShapeError: A block that could be skipped changes the shape of its input.
    """
    sizes = [(size, size) for size in COUNTED_SIZES]
    own = getattr(backbone, 'img_size', None)
    if own is not None:
        sizes.append((own, own) if isinstance(own, int) else tuple(own))
    for size_hw in sizes:
        try:
            return depth_cost(backbone, size_hw)
        except BlockShapeError:
            raise
        except Exception as error:
            problem = f'{type(error).__name__}: {error}'
    logger.warning(f'FLOPs of the backbone cannot be counted: {problem}')
    return None


def summarize(
    schedule: Schedule,
    backbone: nn.Module,
    cost: DepthCost | None,
    inputs: RandomSmallerInput | None,
    supervision: object,
) -> str:
    """Formats stages, space, expected extra cost, supervision and input rule.

    Args:
        schedule: When subnets are trained, with the settings of the hook.
        backbone: The stimulated backbone.
        cost: Its FLOPs, None if they could not be counted.
        inputs: Rule of the input size, None for the main network's size.
        supervision: What subnets learn from.
    """
    space = cast(DepthSpace, backbone.depth_space)
    settings = schedule.settings
    expected = None if cost is None else ExpectedCost.of(settings, space, cost, inputs)
    rows = {
        'backbone': f'{type(backbone).__module__}.{type(backbone).__name__}, '
        f'{len(space.full)} stages of {space.full} blocks',
        'space': f'{len(space)} subnets, {space.rule}, choices {space.choices}, '
        f'depths {space.smallest.depths} to {space.full}',
        'subnets': f'{settings.num_subnets} per stimulated iteration, {schedule}, '
        f'norm statistics {settings.norm}',
        'inputs': _inputs_text(inputs, settings.batch_fraction),
        'supervision': str(supervision),
        'extra cost': _cost_text(expected),
    }
    lines = (f'  {name:<12} {value}' for name, value in rows.items())
    return '\n'.join(('Stimulative training', *lines))


def _inputs_text(inputs: RandomSmallerInput | None, batch_fraction: float) -> str:
    size = "as large as the main network's" if inputs is None else str(inputs)
    return size if batch_fraction == 1 else f'{size}; {batch_fraction:g} of the images of a batch'


def _cost_text(cost: ExpectedCost | None) -> str:
    if cost is None:
        return 'unknown'
    return (
        f"{cost.passes:.2f} x the backbone's main pass per stimulated iteration, in FLOPs "
        f'({cost.batches:g} x {cost.depth:.2f} for depth x {cost.area:.2f} for input size)'
    )
