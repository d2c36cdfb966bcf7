"""Stimulative training as a hook of mmengine's Runner."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmst.core import weight_factor

from .batch import draw_subnet_batch, subnet_batch
from .failures import LossCheck, PassInfo, explain_failure
from .labels import BATCH, SUBNETS, labelled
from .main_forward import MainCall, MainForward
from .model_parts import find_stimulated_backbone, unwrapped
from .registry import HOOKS, INPUT_RULES, SUPERVISIONS, build_part
from .resume_check import CHECKPOINT_KEY, common_seed, warn_of_changes
from .run_checks import check_epochs, check_model, check_run, check_settings, check_step
from .state_check import checked_state
from .subnet_pass import train_subnet
from .summary import count_depth_cost, summarize

__all__ = ['StimulativeHook']

SETTINGS = (
    'num_subnets',
    'weight',
    'begin',
    'by_epoch',
    'interval',
    'batch_fraction',
    'weight_schedule',
    'norm',
    'on_nonfinite',
)
"""Arguments that a resumed run should not change, besides the configs."""
COUNTS = ('skipped', 'size_fallbacks')
"""What is counted over the whole run."""


@HOOKS.register_module()
class StimulativeHook(Hook):
    r"""Trains sampled subnets of the backbone beside the main network.

    In each stimulated iteration the gradient is that of

    .. math:: L = L_{main} + weight \cdot \sum_{k=1}^{K} L_{sub,k}

    (ST++ eq. 1 with K subnets). The subnets run inside the model's forward, before the main
    network, or after it if they learn from its logits, each with its own backward, so that at most
    one graph of a subnet is alive and everything else (gradient synchronisation, accumulation,
    clipping, loss scaling) is the ordinary training step.

    Put it into a config as ``default_hooks=dict(stimulative=dict(type='mmst.StimulativeHook',
    ...))``: ``custom_hooks`` of a config replaces that of its base.

    Args:
        supervision: Config of what subnets learn from, e.g.
            ``dict(type='mmst.GroundTruthSupervision')``.
        inputs: Config of the size of their inputs, e.g. ``dict(type='mmst.RandomSmallerInput')``.
            Defaults to the size of the main network's.
        num_subnets: Subnets per stimulated iteration, K.
        weight: Weight of each subnet's loss. With 0 no subnet runs.
        begin: First stimulated iteration, or epoch if ``by_epoch``.
        by_epoch: Whether ``begin`` counts epochs, in an epoch-based loop.
        interval: Iterations from one stimulated iteration to the next.
        batch_fraction: Part of the images of a batch that a subnet sees, in (0, 1], at least one
            image.
        weight_schedule: ``'constant'``, ``'rising'`` or ``'falling'``: factor of ``weight`` from
            ``begin`` to the end of training, see :func:`mmst.core.weight_factor`.
        norm: ``'isolated'`` keeps subnets out of the running statistics of norm layers,
            ``'shared'`` lets them in.
        on_nonfinite: What happens when a subnet's loss is not finite: ``'stop'`` raises an error
            before the optimiser's step; ``'skip'`` leaves the pass out on all ranks and counts it
            in the log as ``subnet/skipped``. With a loss scaler (mixed precision) ``'stop'`` raises
            only once its scale is below 1, or after 50 steps in a row that it left out.
        seed: Seed of the draws. Defaults to the run's.

    Raises:
        ValueError: An argument is out of range.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        supervision: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        num_subnets: int = 1,
        weight: float = 1.0,
        begin: int = 0,
        by_epoch: bool = False,
        interval: int = 1,
        batch_fraction: float = 1.0,
        weight_schedule: str = 'constant',
        norm: str = 'isolated',
        on_nonfinite: str = 'stop',
        seed: int | None = None,
    ) -> None:
        check_settings(
            supervision=supervision,
            inputs=inputs,
            num_subnets=num_subnets,
            weight=weight,
            begin=begin,
            interval=interval,
            batch_fraction=batch_fraction,
            weight_schedule=weight_schedule,
            norm=norm,
            on_nonfinite=on_nonfinite,
        )
        self.supervision = build_part(SUPERVISIONS, supervision)
        self.inputs = None if inputs is None else build_part(INPUT_RULES, inputs)
        self.num_subnets = num_subnets
        self.weight = weight
        self.begin = begin
        self.by_epoch = by_epoch
        self.interval = interval
        self.batch_fraction = batch_fraction
        self.weight_schedule = weight_schedule
        self.norm = norm
        self.on_nonfinite = on_nonfinite
        self.seed = seed
        self._configs = {'supervision': dict(supervision), 'inputs': inputs and dict(inputs)}
        self._settings: dict[str, str] | None = None
        self._resumed: Mapping[str, str] | None = None
        self._counts = dict.fromkeys(COUNTS, 0)
        self._step_handle: Any = None
        self._scalars: dict[str, Tensor | float] = {}

    def before_train(self, runner: Runner) -> None:
        """Checks that model, run and settings go together, and says what will happen."""
        check_step(runner)
        self._model = unwrapped(runner.model)
        self._backbone = find_stimulated_backbone(self._model)
        check_model(self._model, self._backbone)
        self._begin_iter = self.begin
        if self.by_epoch:
            check_epochs(runner)
            self._begin_iter *= len(runner.train_dataloader)
        steps = range(self._begin_iter, runner.max_iters, self.interval)
        weights = (self._weight_at(step, runner.max_iters) for step in steps)
        check_run(runner, self._backbone.depth_space, self.inputs, self.weight == 0 or any(weights))
        self._seed = common_seed(runner.seed) if self.seed is None else self.seed
        self._settings = self._describe(runner.max_iters)
        if runner.iter > 0 and self._resumed is not None:
            warn_of_changes(self._resumed, self._settings, runner.logger)
            for name in COUNTS:
                count = runner.message_hub.log_scalars.get(f'train/subnet/{name}')
                self._counts[name] = int(count.current()) if count else 0
        self._cost = count_depth_cost(self._backbone, runner.logger)
        self._forward = MainForward(self._model, self.supervision.teacher(self._model))
        self._batch_is_checked = self.inputs is None or self.weight == 0
        self._state_is_checked = False
        self._losses = LossCheck(runner.optim_wrapper, self.on_nonfinite == 'skip')
        self._watch_steps(runner)
        runner.optim_wrapper.zero_grad()  # an interrupted iteration may have left gradients
        runner.logger.info(
            summarize(
                self._backbone,
                self._cost,
                num_subnets=self.num_subnets,
                schedule=self._schedule_text(),
                batch_fraction=self.batch_fraction,
                inputs=self.inputs,
                supervision=self.supervision,
            )
        )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Arms the model's forward for this iteration."""
        self._scalars = {}
        self._losses.forget()
        weight = self._weight_at(runner.iter, runner.max_iters)
        if weight > 0 or not self._batch_is_checked:
            self._forward.arm(functools.partial(self._on_forward, runner, weight))
        else:
            self._forward.disarm()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Publishes the iteration's values, where mmengine reads back the main losses as well.

        Raises:
            RuntimeError: The iteration should have trained subnets, but none ran.
            FloatingPointError: A loss of a subnet was not finite, and the optimiser took no step.
        """
        self._forward.check_called(runner.iter)
        self._losses.read()
        for name, value in self._scalars.items():
            runner.message_hub.update_scalar(f'train/subnet/{name}', value)

    def after_train(self, runner: Runner) -> None:
        """Takes back what the run was observed by."""
        self._forward.disarm()
        self._step_handle.remove()

    def _watch_steps(self, runner: Runner) -> None:
        """Lets losses be read once the optimiser is about to step, when all work is queued."""
        if self._step_handle is not None:  # of an interrupted run
            self._step_handle.remove()
        self._step_handle = runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self._losses.read()
        )

    def _on_forward(self, runner: Runner, weight: float, call: MainCall) -> None:
        if not self._batch_is_checked:
            # What cannot be resized is an error now, in the first iteration.
            subnet_batch(self._model, call.inputs, call.data_samples, self.inputs.smallest)
            self._batch_is_checked = True
        if weight > 0:
            with labelled(SUBNETS):
                self._train_subnets(runner, weight, call)

    def _train_subnets(self, runner: Runner, weight: float, call: MainCall) -> None:
        sums: dict[str, Any] = {}
        cost, trained = 0.0, 0
        for index in range(self.num_subnets):
            subnet = self._backbone.depth_space.sample(**self._draw(runner.iter, index))
            info = PassInfo(runner.iter, index, subnet)
            state = nullcontext() if self._state_is_checked else checked_state(self._model)
            with explain_failure(info), state:
                values = self._train_subnet(runner, weight, call, info)
            self._state_is_checked = True
            if values is None:
                self._counts['skipped'] += 1
                continue
            if self.inputs is not None and self.inputs.is_fallback(info.batch.image_hw):
                self._counts['size_fallbacks'] += 1
            trained += 1
            for name, value in (*values.items(), *_description(info)):
                sums[name] = sums.get(name, 0) + value
            if self._cost is not None:
                cost += self._cost.ratio(subnet) * _pixels(info.batch.inputs) / _pixels(call.inputs)
        self._scalars = {name: value / trained for name, value in sums.items()}
        if self._cost is not None:
            self._scalars['cost'] = cost
        if self.weight_schedule != 'constant':
            self._scalars['weight'] = weight
        # A count that can only be 0 is no news.
        published = {'skipped': self.on_nonfinite == 'skip', 'size_fallbacks': False}
        for name, count in self._counts.items():
            if count or published[name]:
                self._scalars[name] = float(count)

    def _train_subnet(
        self,
        runner: Runner,
        weight: float,
        call: MainCall,
        info: PassInfo,
    ) -> Mapping[str, Tensor] | None:
        with labelled(BATCH):
            batch = info.batch = draw_subnet_batch(
                self._model,
                call.inputs,
                call.data_samples,
                rule=self.inputs,
                batch_fraction=self.batch_fraction,
                **self._draw(info.step, info.index),
            )
        return train_subnet(
            self._model,
            self._backbone,
            info.subnet,
            batch,
            supervision=self.supervision,
            logits=call.logits_of(batch.images),
            optim_wrapper=runner.optim_wrapper,
            weight=weight,
            # With the rank: dropout and samplers differ between ranks, as the main network's do.
            random_key=f'mmst.pass:{self._seed}:{info.step}:{info.index}:{runner.rank}',
            isolate_norm=self.norm == 'isolated',
            accept=functools.partial(self._losses.accept, info),
        )

    def _draw(self, step: int, index: int) -> dict[str, int]:
        return {'seed': self._seed, 'step': step, 'index': index}

    def _weight_at(self, step: int, max_iters: int) -> float:
        """Weight of the subnet losses in an iteration, 0 if none is trained."""
        done = step - self._begin_iter
        if done < 0 or done % self.interval:
            return 0.0
        progress = done / (max_iters - self._begin_iter)
        return self.weight * weight_factor(self.weight_schedule, progress)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keeps the settings, to compare them when the run is resumed."""
        if self._settings is not None:
            checkpoint[CHECKPOINT_KEY] = self._settings

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Remembers the settings of the run that wrote the checkpoint."""
        self._resumed = checkpoint.get(CHECKPOINT_KEY, {})

    def _describe(self, max_iters: int) -> dict[str, str]:
        """What decides draws, sizes and weights, as text."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        settings.update(self._configs, seed=self._seed, space=self._backbone.depth_space)
        if self.weight_schedule != 'constant':
            settings['max_iters'] = max_iters
        return {name: str(value) for name, value in settings.items()}

    def _schedule_text(self) -> str:
        every = 'every iteration' if self.interval == 1 else f'every {self.interval} iterations'
        return (
            f'{every} from iteration {self._begin_iter}, weight {self.weight:g} '
            f'({self.weight_schedule}), norm statistics {self.norm}'
        )


def _description(info: PassInfo) -> list[tuple[str, float]]:
    depths = [(f'depth_{stage}', float(d)) for stage, d in enumerate(info.subnet.depths, start=1)]
    return [('size', float(min(info.batch.image_hw))), *depths]


def _pixels(inputs: Tensor) -> int:
    return inputs.shape[0] * inputs.shape[-2] * inputs.shape[-1]
