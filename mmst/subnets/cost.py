"""Cost of a subnet beside its whole network: parameters, FLOPs and measured time."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmst.core import DepthCost, active_subnet, residual_stages
from mmst.core.cost import count_flops
from mmst.core.space import Subnet
from mmst.engine.model_parts import find_backbone, unwrapped

__all__ = [
    'CostMeter',
    'Latency',
    'SubnetCost',
    'check_repeats',
    'count_tensor_mode',
    'example_input',
    'measure_latency',
]

LEAST_REPEATS, LEAST_SECONDS = 10, 1.0

Forward = Callable[[], Any]


@dataclass(frozen=True)
class Latency:
    """Measured times of one forward pass.

    Args:
        full_ms: Median time of the whole network in milliseconds.
        subnet_ms: Median time of the subnet.
        ratio: Median of subnet over whole network, of runs that followed each other.
    """

    full_ms: float
    subnet_ms: float
    ratio: float


@dataclass(frozen=True)
class SubnetCost:
    """Costs of a subnet, each beside the whole network.

    Args:
        parameters: Number of parameters: of the whole network, of the subnet.
        flops: FLOPs of a forward pass: of the whole network, of the subnet.
        latency: Measured times.
    """

    parameters: tuple[int, int]
    flops: tuple[int, int]
    latency: Latency


class CostMeter:
    """Measures subnets of a runner's model on the first test image.

    FLOPs and time are those of a forward pass in tensor mode: the network up to its raw outputs
    (with the proposals of a two-stage detector), without post-processing.

    Args:
        runner: A runner whose checkpoint is loaded.

    Attributes:
        counted: What FLOPs and time are those of: ``'model'``, or ``'backbone'`` where the model as
            a whole has no tensor mode.
        flops: FLOPs of the whole network and of its blocks.
        data: The test image, as the model's ``forward`` takes it.
    """

    def __init__(self, runner: Runner) -> None:
        self.model = unwrapped(runner.model).eval()
        self.backbone = find_backbone(self.model)
        self.data = example_input(self.model, runner)
        self.flops, self.counted = count_tensor_mode(self.model, self.backbone, self.data)

    def measure(self, depths: Sequence[int], repeats: int | None = None) -> SubnetCost:
        """Returns the cost of the subnet with these depths."""
        parameters, flops = self.count(depths)
        return SubnetCost(
            parameters=(_count_parameters(self.model), parameters),
            flops=(self.flops.total, flops),
            latency=measure_latency(self.forward, self.backbone, depths, repeats),
        )

    def count(self, depths: Sequence[int]) -> tuple[int, int]:
        """Returns parameters and FLOPs of the subnet with these depths."""
        with active_subnet(self.backbone, depths):
            parameters = _count_parameters(self.model)
        ratio = self.flops.ratio(Subnet(tuple(depths)))
        return parameters, round(ratio * self.flops.total)

    def forward(self) -> Any:
        """Runs the measured forward pass."""
        if self.counted == 'model':
            return self.model(**self.data, mode='tensor')
        return self.backbone(self.data['inputs'])


@torch.no_grad()
def example_input(model: BaseModel, runner: Runner) -> dict[str, Any]:
    """Returns the first test image, as the model's ``forward`` takes it.

    Where a config has no test, as of pre-training without labels, it is a training image.

    Raises:
        ValueError: The model's data preprocessor returns no dict.
    """
    has_test = runner.cfg.get('test_dataloader') is not None
    loader = runner.test_dataloader if has_test else runner.train_dataloader
    batch = loader.collate_fn([loader.dataset[0]])
    data = model.data_preprocessor(batch, training=False)
    if not isinstance(data, Mapping):
        raise ValueError(
            f'data_preprocessor must return a dict, got {type(data).__name__}; costs are measured '
            'for models of mmdet, mmseg, mmpose and mmpretrain, or made like theirs'
        )
    return dict(data)


def count_tensor_mode(
    model: nn.Module, backbone: nn.Module, data: Mapping[str, Any]
) -> tuple[DepthCost, str]:
    """Counts the FLOPs of a forward pass in tensor mode, in all and for each residual block.

    Args:
        model: A model of mmengine.
        backbone: Its backbone.
        data: What ``model.forward`` takes, see :func:`example_input`.

    Returns:
        The FLOPs, and what they are those of: ``'model'``, or ``'backbone'`` where the model as a
        whole cannot run so.
    """
    try:
        return count_flops(lambda: model(**data, mode='tensor'), model, backbone), 'model'
    except Exception:  # whatever a model raises that has no tensor mode
        return count_flops(lambda: backbone(data['inputs']), backbone, backbone), 'backbone'


def measure_latency(
    forward: Forward, backbone: nn.Module, depths: Sequence[int], repeats: int | None = None
) -> Latency:
    """Times the whole network and a subnet in turn, so that drift affects both alike.

    Args:
        forward: Runs the model once.
        backbone: Backbone of the model.
        depths: Leading blocks kept in each stage.
        repeats: How often each is timed. Defaults to 10 times, and to more for a second in all.

    Raises:
        ValueError: ``repeats`` is less than 1.
    """
    check_repeats(repeats)
    least, seconds = (LEAST_REPEATS, LEAST_SECONDS) if repeats is None else (repeats, 0.0)
    full = [len(stage) for stage in residual_stages(backbone)]
    times: dict[str, list[float]] = {'full': [], 'subnet': []}
    for repeat in itertools.count(-1):
        if repeat >= least and sum(map(sum, times.values())) >= seconds:
            break
        # They take turns at being first: the second profits from the caches.
        for name in ('full', 'subnet') if repeat % 2 else ('subnet', 'full'):
            with active_subnet(backbone, depths if name == 'subnet' else full):
                elapsed = _timed(forward)
            if repeat >= 0:  # the first pair only warms up
                times[name].append(elapsed)
    pairs = zip(times['full'], times['subnet'], strict=True)
    return Latency(
        full_ms=1000 * statistics.median(times['full']),
        subnet_ms=1000 * statistics.median(times['subnet']),
        ratio=statistics.median(part / whole for whole, part in pairs),
    )


def check_repeats(repeats: int | None) -> None:
    """Raises ValueError if a number of runs is less than 1; None means the default."""
    if repeats is not None and repeats < 1:
        raise ValueError(f'--repeats must be at least 1, got {repeats}')


@torch.no_grad()
def _timed(forward: Forward) -> float:
    _synchronize()
    start = time.perf_counter()
    forward()
    _synchronize()
    return time.perf_counter() - start


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
