"""Expected cost of subnets beside their main network, before a run."""

from __future__ import annotations

from dataclasses import dataclass
from logging import Logger

from torch import nn

from mmst.core import DepthCost, DepthSpace, depth_cost
from mmst.core.cost import BlockShapeError

from .inputs import RandomSmallerInput
from .settings import StimulativeSettings

__all__ = ['ExpectedCost', 'count_depth_cost']

COUNTED_SIZES = (128, 224, 256)
"""Sizes in pixels at which FLOPs are counted: the first that the backbone takes."""


@dataclass(frozen=True)
class ExpectedCost:
    """Expected FLOPs of the subnets of a stimulated iteration over those of the main pass.

    Args:
        batches: Subnets, each times the part of the images that it sees.
        depth: Share of the FLOPs that the blocks of a subnet have.
        area: Pixels of its input over the main network's.
    """

    batches: float
    depth: float
    area: float

    @classmethod
    def of(
        cls,
        settings: StimulativeSettings,
        space: DepthSpace,
        cost: DepthCost,
        inputs: RandomSmallerInput | None,
    ) -> ExpectedCost:
        """Returns the cost of the subnets that a hook draws.

        Args:
            settings: Those of the hook.
            space: The space that subnets are drawn from.
            cost: FLOPs of the backbone.
            inputs: Rule of the input size, None for the main network's size.
        """
        return cls(
            batches=settings.num_subnets * settings.batch_fraction,
            depth=cost.expected_ratio(space),
            area=1.0 if inputs is None else inputs.expected_area_ratio,
        )

    @property
    def passes(self) -> float:
        """The product: cost in main passes."""
        return self.batches * self.depth * self.area


def count_depth_cost(backbone: nn.Module, logger: Logger) -> DepthCost | None:
    """Counts the backbone's FLOPs; where that fails, for whatever reason, only logs it.

    Raises:
        BlockShapeError: A block that could be skipped changes the shape of its input.
    """
    for size in COUNTED_SIZES:
        try:
            return depth_cost(backbone, (size, size))
        except BlockShapeError:
            raise
        except Exception as error:
            problem = f'{type(error).__name__}: {error}'
    logger.warning(f'FLOPs of the backbone cannot be counted: {problem}')
    return None
