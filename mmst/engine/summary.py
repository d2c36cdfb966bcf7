"""What the start of a run says about stimulative training."""

from __future__ import annotations

from logging import Logger

from torch import nn

from mmst.core import DepthCost, DepthSpace, depth_cost

from .inputs import RandomSmallerInput

__all__ = ['count_depth_cost', 'summarize']


def count_depth_cost(backbone: nn.Module, logger: Logger) -> DepthCost | None:
    """Counts the backbone's FLOPs; where that fails, for whatever reason, only logs it."""
    try:
        return depth_cost(backbone)
    except Exception as error:
        logger.warning(f'FLOPs of the backbone cannot be counted: {type(error).__name__}: {error}')
        return None


def summarize(
    backbone: nn.Module,
    cost: DepthCost | None,
    *,
    num_subnets: int,
    schedule: str,
    inputs: RandomSmallerInput | None,
    supervision: object,
) -> str:
    """Formats stages, space, expected extra cost, supervision and input rule.

    Args:
        backbone: The stimulated backbone.
        cost: Its FLOPs, None if they could not be counted.
        num_subnets: Subnets per stimulated iteration.
        schedule: When and with which weight subnets are trained.
        inputs: Rule of the input size, None for the main network's size.
        supervision: What subnets learn from.
    """
    space: DepthSpace = backbone.depth_space
    rows = {
        'backbone': f'{type(backbone).__module__}.{type(backbone).__name__}, '
        f'{len(space.full)} stages of {space.full} blocks',
        'space': f'{len(space)} subnets, {space.rule}, choices {space.choices}, '
        f'depths {space.smallest.depths} to {space.full}',
        'subnets': f'{num_subnets} per stimulated iteration, {schedule}',
        'inputs': "as large as the main network's" if inputs is None else str(inputs),
        'supervision': str(supervision),
        'extra cost': _expected_cost(space, cost, num_subnets, inputs),
    }
    lines = (f'  {name:<12} {value}' for name, value in rows.items())
    return '\n'.join(('Stimulative training', *lines))


def _expected_cost(
    space: DepthSpace, cost: DepthCost | None, num_subnets: int, inputs: RandomSmallerInput | None
) -> str:
    if cost is None:
        return 'unknown'
    depth = cost.expected_ratio(space)
    area = 1.0 if inputs is None else inputs.expected_area_ratio
    return (
        f"{num_subnets * depth * area:.2f} x the backbone's main pass per stimulated iteration, "
        f'in FLOPs ({num_subnets} x {depth:.2f} for depth x {area:.2f} for input size)'
    )
