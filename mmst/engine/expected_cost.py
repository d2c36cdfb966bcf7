"""Expected cost of subnets beside their main network, before a run."""

from __future__ import annotations

from dataclasses import dataclass

from mmst.core import DepthCost, DepthSpace

from .inputs import RandomSmallerInput
from .settings import StimulativeSettings

__all__ = ['ExpectedCost']


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
