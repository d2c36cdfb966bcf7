"""One subnet pass: forward, scaled backward, everything else left as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmst.core import Subnet, active_subnet, isolated_state

from .batch import SubnetBatch
from .labels import BACKWARD, FORWARD, labelled
from .random_state import private_random_state
from .supervision import GroundTruthSupervision, LogitSupervision

__all__ = ['train_subnet']


def train_subnet(
    model: BaseModel,
    backbone: nn.Module,
    subnet: Subnet,
    batch: SubnetBatch,
    *,
    supervision: GroundTruthSupervision | LogitSupervision,
    optim_wrapper: OptimWrapper,
    weight: float,
    random_key: str,
    logits: Tensor | None = None,
    isolate_norm: bool = True,
    accept: Callable[[Tensor, Mapping[str, Tensor]], bool] | None = None,
) -> Mapping[str, Tensor] | None:
    """Adds the gradients of ``weight`` times a subnet's loss to those of the parameters.

    The graph is freed before returning. Blocks, the model's state and random states are as before.

    Args:
        model: The model, without distributed wrapper, in training mode.
        backbone: Its stimulated backbone.
        subnet: Which blocks run.
        batch: What the subnet sees.
        supervision: What it learns from.
        optim_wrapper: Scales the loss as it will scale the main loss.
        weight: Weight of the subnet's loss.
        random_key: Names the random states of the pass.
        logits: Those of the main network for this batch, if the supervision has a teacher.
        isolate_norm: Whether running statistics stay the main network's.
        accept: Decides from the loss and the values whether there is a backward. Defaults to
            always.

    Returns:
        The unweighted values of the supervision, detached, ``'loss'`` among them; None if they were
        not accepted.
    """
    device = batch.inputs.device
    state = isolated_state(model, norm=isolate_norm)
    with active_subnet(backbone, subnet), state, private_random_state(random_key, device):
        with labelled(FORWARD):
            loss, values = supervision.losses(model, batch.inputs, batch.data_samples, logits)
        if accept is not None and not accept(loss, values):
            return None
        # Inside active_subnet: activation checkpointing runs the forward again.
        with labelled(BACKWARD), torch.autocast(device.type, enabled=False):
            _scale(weight * loss, optim_wrapper).backward()
    return {name: value.detach() for name, value in values.items()}


def _scale(loss: Tensor, optim_wrapper: OptimWrapper) -> Tensor:
    """Scales a loss as ``optim_wrapper.update_params`` scales the main loss, counting nothing."""
    loss = optim_wrapper.scale_loss(loss)
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    return loss if scaler is None else scaler.scale(loss)
