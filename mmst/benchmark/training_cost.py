"""Cost of a training in floating-point operations, before it runs and after.

The convention: a forward pass is counted on torch's ``meta`` device (a multiplication and an
addition are two operations), a training pass is three forward passes, and the network's FLOPs are
in proportion to the pixels of its inputs. A subnet's share of the backbone is taken as its share of
the network.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import cast

import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from mmst.checkpoints.build import build_model
from mmst.config.stimulative_hook import stimulative_hook
from mmst.config.training import remove_pretrained
from mmst.core import DepthSpace, depth_cost
from mmst.core.cost import count_flops
from mmst.engine import find_stimulated_backbone
from mmst.engine.expected_cost import ExpectedCost
from mmst.engine.registry import INPUT_RULES, build_part
from mmst.engine.settings import StimulativeSettings

__all__ = ['TrainingCost', 'equal_iters', 'training_cost']

PASSES_PER_STEP = 3
"""A training pass in forward passes: forward, gradients of inputs, gradients of weights."""


@dataclass(frozen=True)
class TrainingCost:
    """Cost of the iterations of a training.

    Args:
        forward_flops: FLOPs of a forward pass of one image of full size.
        batch_size: Images per iteration.
        passes: Expected passes per iteration, in those of the main network on images of full size.
        stimulated: Part of the iterations that train subnets.
    """

    forward_flops: int
    batch_size: int
    passes: float
    stimulated: float = 0.0

    def flops(self, iters: int, passes: float | None = None) -> float:
        """FLOPs of a number of iterations, with the expected or with measured passes."""
        passes = self.passes if passes is None else passes
        return PASSES_PER_STEP * self.forward_flops * self.batch_size * iters * passes


def training_cost(cfg: Config, input_hw: tuple[int, int], iters: int) -> TrainingCost:
    """Counts what a training will cost.

    Args:
        cfg: Config of the training.
        input_hw: Size of the main network's inputs in pixels.
        iters: Its iterations, for a hook that begins later or has an interval.

    Raises:
        ValueError: Nothing can be counted in the model.
    """
    untrained = copy.deepcopy(cfg)
    remove_pretrained(untrained.model)
    model = build_model(untrained)
    forward = _forward_flops(model, input_hw)
    if forward == 0:
        raise ValueError(
            'the model must have matrix products or convolutions to count FLOPs, got none'
        )
    passes = getattr(model.data_preprocessor, 'expected_area_ratio', 1.0)
    hook, stimulated = stimulative_hook(cfg), 0.0
    if hook is not None:
        stimulated = len(range(hook.get('begin', 0), iters, hook.get('interval', 1))) / iters
        passes += stimulated * _subnet_passes(hook, model, input_hw)
    return TrainingCost(forward, cfg.train_dataloader.batch_size, passes, stimulated)


def equal_iters(iters: int, cost: TrainingCost, own: TrainingCost) -> int:
    """Iterations of ``own`` that cost what ``iters`` iterations of ``cost`` do, rounded up."""
    return -int(-cost.flops(iters) // own.flops(1))


def _forward_flops(model: nn.Module, input_hw: tuple[int, int]) -> int:
    model = model.to('meta').eval()
    images = torch.empty(1, 3, *input_hw, device='meta')
    return count_flops(lambda: model(images, None, mode='tensor'), model).total


def _subnet_passes(hook: ConfigDict, model: nn.Module, input_hw: tuple[int, int]) -> float:
    """Expected passes of the subnets of a stimulated iteration."""
    backbone = find_stimulated_backbone(model)
    names = {field.name for field in fields(StimulativeSettings)}
    settings = StimulativeSettings(**{name: hook[name] for name in hook if name in names})
    inputs = None if settings.inputs is None else build_part(INPUT_RULES, settings.inputs)
    cost = depth_cost(backbone, input_hw)
    return ExpectedCost.of(settings, cast(DepthSpace, backbone.depth_space), cost, inputs).passes
