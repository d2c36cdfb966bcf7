"""One subnet pass: batch, forward, scaled backward, everything else left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import cast

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmst.core import DepthSpace, Draw, Subnet, active_subnet, isolated_state

from .batch import SubnetBatch, draw_subnet_batch
from .failures import LossCheck, explain_failure
from .inputs import RandomSmallerInput
from .labels import BACKWARD, BATCH, FORWARD, labelled
from .main_backward import scaled
from .main_forward import MainCall
from .random_state import private_random_state
from .state_check import checked_pass
from .supervision import GroundTruthSupervision, LogitSupervision

__all__ = ['SubnetPass', 'SubnetTrainer']


@dataclass
class SubnetPass:
    """One term of the sum: a subnet, what it sees and what it scores.

    Args:
        draw: Names its random choices.
        subnet: Which blocks run.
        batch: What the subnet sees, None before it is made.
        values: Values of the supervision, unweighted and detached, ``'loss'`` among them. None
            before the backward, and if there was none.
    """

    draw: Draw
    subnet: Subnet
    batch: SubnetBatch | None = None
    values: Mapping[str, Tensor] | None = None

    @property
    def random_key(self) -> str:
        """Names the random states of the pass.

        With the rank: dropout and samplers differ between ranks, as the main network's do.
        """
        return f'{self.draw.key("pass")}:{get_rank()}'

    def __str__(self) -> str:
        text = f'the pass of subnet {self.draw.index} in iteration {self.draw.step} ({self.subnet}'
        if self.batch is not None:
            images, _, height, width = self.batch.inputs.shape
            text += f', {images} images in a batch of {height}x{width} pixels'
        return f'{text})'


@dataclass
class SubnetTrainer:
    """Trains subnets: each pass adds the gradients of ``weight`` times its loss.

    Args:
        model: The model, without distributed wrapper, in training mode.
        backbone: Its stimulated backbone.
        supervision: What subnets learn from.
        optim_wrapper: Scales the loss as it will scale the main loss.
        inputs: Draws the size of their inputs. Defaults to the size of the main network's.
        batch_fraction: Part of the images of a batch that a subnet sees, in (0, 1].
        isolate_norm: Whether running statistics stay the main network's.
        check: Decides from the loss whether there is a backward. Defaults to always.
    """

    model: BaseModel
    backbone: nn.Module
    supervision: GroundTruthSupervision | LogitSupervision
    optim_wrapper: OptimWrapper
    inputs: RandomSmallerInput | None = None
    batch_fraction: float = 1.0
    isolate_norm: bool = True
    check: LossCheck | None = None
    _is_checked: bool = field(default=False, init=False)

    def train(self, draw: Draw, main: MainCall, weight: float) -> SubnetPass:
        """Draws a subnet and its batch, and runs its pass.

        Args:
            draw: Which subnet of which iteration.
            main: What the main network is trained on.
            weight: Weight of the subnet's loss.
        """
        space = cast(DepthSpace, self.backbone.depth_space)
        subnet_pass = SubnetPass(draw, space.sample(**vars(draw)))
        # The first pass of a run shows what passes would leave behind.
        first = nullcontext() if self._is_checked else checked_pass(self.model, main.data_samples)
        with explain_failure(subnet_pass), first:
            with labelled(BATCH):
                batch = draw_subnet_batch(
                    self.model,
                    main.inputs,
                    main.data_samples,
                    draw,
                    rule=self.inputs,
                    batch_fraction=self.batch_fraction,
                )
            self.run(subnet_pass, batch, weight, main.logits_of(batch.images))
        self._is_checked = True
        return subnet_pass

    def run(
        self,
        subnet_pass: SubnetPass,
        batch: SubnetBatch,
        weight: float,
        logits: Tensor | None = None,
    ) -> None:
        """Runs forward and backward of a pass, and keeps its batch and its values.

        The graph is freed before returning. Blocks, the model's state and random states are as
        before.

        Args:
            subnet_pass: The pass.
            batch: What the subnet sees.
            weight: Weight of its loss.
            logits: Those of the main network for this batch, if the supervision has a teacher.
        """
        subnet_pass.batch = batch
        device = batch.inputs.device
        with (
            active_subnet(self.backbone, subnet_pass.subnet),
            isolated_state(self.model, norm=self.isolate_norm),
            private_random_state(subnet_pass.random_key, device),
        ):
            with labelled(FORWARD):
                loss, values = self.supervision.losses(
                    self.model, batch.inputs, batch.data_samples, logits
                )
            if self.check is not None and not self.check.accept(subnet_pass, loss, values):
                return
            # Inside active_subnet: activation checkpointing runs the forward again.
            with labelled(BACKWARD), torch.autocast(device.type, enabled=False):
                scaled(weight * loss, self.optim_wrapper).backward()
                subnet_pass.values = {name: value.detach() for name, value in values.items()}
                del loss, values  # with them goes the graph
