"""A training loop that measures: every arm on the same batches, iteration by iteration."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop, Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmst.engine import HOOKS, StimulativeHook, labels
from mmst.engine.random_state import private_random_state

from .step_probes import BlockTime, Cost, LabelClock, Timing, count_cost, time_call

__all__ = ['PLAIN', 'PLAIN_AGAIN', 'StepBenchmarkLoop', 'StepSample', 'load_batches']

PLAIN = 'plain'
PLAIN_AGAIN = 'plain again'
"""The same once more, to show how far two equal arms are apart."""

Iteration = Callable[[], None]

COMPUTATION = (labels.FORWARD, labels.BACKWARD, labels.IMAGES)
"""The purpose of a pass: the rest of its time is overhead."""


@dataclass(frozen=True)
class Arm:
    """One way of training, to be compared with the others.

    Args:
        name: Its name.
        num_subnets: Its number of subnets, K; ``None`` for plain training.
        hook: Its hook, ``None`` for plain training.
    """

    name: str
    num_subnets: int | None
    hook: StimulativeHook | None


@dataclass(frozen=True)
class StepSample:
    """One measured iteration of one arm.

    Args:
        step: Number of the iteration, which decides batch and draws.
        arm: Name of the arm.
        num_subnets: Its number of subnets, K; ``None`` for the plain arms.
        seconds: Duration.
        cpu_seconds: Processor time of the process, of all its threads.
        resize_seconds: Part of it spent in making the subnets' batches.
        resize_inputs_seconds: Part of that spent on the images.
        other_seconds: Processor time that subnets spend outside forward, backward and resizing
            images.
        flops: Counted floating-point operations, forward and backward.
        peak_bytes: Peak memory: of the CUDA device, or of tensors on the CPU.
    """

    step: int
    arm: str
    num_subnets: int | None
    seconds: float
    cpu_seconds: float
    resize_seconds: float
    resize_inputs_seconds: float
    other_seconds: float
    flops: int
    peak_bytes: int


def load_batches(dataloader: DataLoader, count: int) -> list[Any]:
    """Loads batches, from the start again where the data set ends.

    Raises:
        ValueError: The dataloader yields nothing.
    """
    batches: list[Any] = []
    while len(batches) < count:
        loaded = list(itertools.islice(dataloader, count - len(batches)))
        if not loaded:
            raise ValueError(
                'train_dataloader must yield at least one batch, got none; use a smaller '
                '--batch-size or more data'
            )
        batches += loaded
    return batches


@LOOPS.register_module()
class StepBenchmarkLoop(BaseLoop):
    """Measures training iterations in place of a training.

    All arms share model, optimiser, batches and random states, so that their main passes do the
    same. The learning rate is 0, which leaves the parameters as they are. At each step each arm
    trains one iteration, in an order of its own; then each does it once more for counting.

    Args:
        runner: The runner of the config.
        dataloader: Its dataloader, or the config of it.
        hook: Settings of the ``StimulativeHook``, without ``num_subnets``.
        num_subnets: Number of subnets of each arm, 0 for an inactive hook.
        iters: Measured iterations of each arm.
        warmup: Iterations of each arm before those.
        channels_last: Whether the model is in that memory format.
        device: Where to compute; ``None`` leaves the model where it is.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        hook: Mapping[str, Any],
        num_subnets: Sequence[int],
        iters: int,
        warmup: int,
        channels_last: bool = False,
        device: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        self.iter = self.epoch = 0
        self.max_iters, self.max_epochs = warmup + iters, 1
        self.warmup = warmup
        self.channels_last = channels_last
        self.arms = _build_arms(hook, num_subnets)
        self.interval = next(arm.hook.interval for arm in self.arms if arm.hook is not None)
        self.samples: list[StepSample] = []
        self.input_shapes: list[tuple[int, ...]] = []
        self._wanted_device = device

    def run(self) -> torch.nn.Module:
        """Measures; afterwards ``samples`` holds the results. Returns the model."""
        runner = self.runner
        self._prepare_model()
        self._load()
        runner.call_hook('before_train')
        for arm in self.arms:
            if arm.hook is not None:
                arm.hook.before_train(runner)
        with _quick_collection():
            for step in range(self.max_iters):
                self.samples += self._measure(step)
        runner.call_hook('after_train')
        return runner.model

    def _prepare_model(self) -> None:
        model = self.runner.model
        if self._wanted_device is not None:
            model.to(self._wanted_device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        model.train()
        self.device = next(model.parameters()).device
        for group in self.runner.optim_wrapper.param_groups:
            group['lr'] = 0.0

    def _load(self) -> None:
        self._batches = load_batches(self.dataloader, self.max_iters)
        for raw in self._batches:
            data = self.runner.model.data_preprocessor(copy.deepcopy(raw), True)
            inputs = data.get('inputs') if isinstance(data, dict) else None
            self.input_shapes.append(tuple(inputs.shape) if isinstance(inputs, Tensor) else ())

    def _measure(self, step: int) -> list[StepSample]:
        """Runs a step in all arms; returns its samples, none while warming up."""
        order = random.Random(f'{self.runner.seed}:{step}').sample(self.arms, len(self.arms))
        timings = {arm.name: self._time(arm, step) for arm in order}
        if step < self.warmup:
            return []
        costs = {arm.name: self._count(arm, step) for arm in self.arms if arm.name != PLAIN_AGAIN}
        costs[PLAIN_AGAIN] = costs[PLAIN]
        _say(
            f'iteration {step - self.warmup + 1} of {self.max_iters - self.warmup}: '
            + ', '.join(f'{arm.name} {timings[arm.name][0].seconds:.3g} s' for arm in self.arms)
        )
        return [_sample(step, arm, *timings[arm.name], costs[arm.name]) for arm in self.arms]

    def _time(self, arm: Arm, step: int) -> tuple[Timing, dict[str, BlockTime]]:
        """Returns the time of an iteration, and those of its labelled parts."""
        clock = LabelClock(self.device)
        with self._iteration(arm, step) as iteration, labels.watched_by(clock):
            timing = time_call(iteration, self.device)
        return timing, {**dict.fromkeys(labels.LABELS, BlockTime()), **clock.take()}

    def _count(self, arm: Arm, step: int) -> Cost:
        with self._iteration(arm, step) as iteration:
            return count_cost(
                iteration,
                self.runner.model,
                self.runner.optim_wrapper.optimizer,
                count_memory=self.device.type != 'cuda',
            )

    @contextlib.contextmanager
    def _iteration(self, arm: Arm, step: int) -> Iterator[Iteration]:
        """Prepares what a training has at hand, and yields a function that trains an iteration."""
        runner = self.runner
        self.iter = step
        data = copy.deepcopy(self._batches[step])  # preprocessors and heads may modify it
        gc.collect()  # so that no arm finds, or frees, what another left

        def iteration() -> None:
            # As EpochBasedTrainLoop does, with the arm's hook at its place, after RuntimeInfoHook.
            runner.call_hook('before_train_iter', batch_idx=step, data_batch=data)
            if arm.hook is not None:
                arm.hook.before_train_iter(runner, step, data)
            outputs = runner.model.train_step(data, optim_wrapper=runner.optim_wrapper)
            runner.call_hook('after_train_iter', batch_idx=step, data_batch=data, outputs=outputs)
            if arm.hook is not None:
                arm.hook.after_train_iter(runner, step, data, outputs)

        with private_random_state(f'mmst.benchmark:{runner.seed}:{step}', self.device):
            yield iteration


def _sample(
    step: int, arm: Arm, timing: Timing, parts: Mapping[str, BlockTime], cost: Cost
) -> StepSample:
    return StepSample(
        step,
        arm.name,
        arm.num_subnets,
        timing.seconds,
        timing.cpu_seconds,
        resize_seconds=parts[labels.BATCH].seconds,
        resize_inputs_seconds=parts[labels.IMAGES].seconds,
        other_seconds=parts[labels.SUBNETS].host_seconds
        - sum(parts[label].host_seconds for label in COMPUTATION),
        flops=cost.flops,
        peak_bytes=timing.cuda_bytes or cost.peak_bytes,
    )


def _build_arms(hook: Mapping[str, Any], num_subnets: Sequence[int]) -> list[Arm]:
    arms = [Arm(PLAIN, None, None), Arm(PLAIN_AGAIN, None, None)]
    for number in num_subnets:
        active = {'num_subnets': number} if number else {'weight': 0.0}
        arms.append(Arm(f'K={number}', number, HOOKS.build({**hook, **active})))
    return arms


@contextlib.contextmanager
def _quick_collection() -> Iterator[None]:
    """Spares the garbage collector what is alive already."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
