"""Stimulative training as a hook of mmengine's Runner."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmst.core import DepthSpace, Draw

from .batch import check_batch
from .failures import LossCheck
from .labels import SUBNETS, labelled
from .main_backward import MainBackward, default_order
from .main_forward import MainCall, MainForward
from .model_parts import find_stimulated_backbone, unwrapped
from .pass_scalars import PREFIX, PassScalars, published_counts
from .registry import HOOKS, INPUT_RULES, SUPERVISIONS, build_part
from .resume_check import CHECKPOINT_KEY, common_seed, warn_of_changes
from .run_checks import check_image_sizes, check_model, check_run, check_step
from .schedule import Schedule
from .settings import StimulativeSettings
from .subnet_pass import SubnetTrainer
from .summary import count_depth_cost, summarize

__all__ = ['StimulativeHook']


@HOOKS.register_module()
class StimulativeHook(StimulativeSettings, Hook):
    r"""Trains sampled subnets of the backbone beside the main network.

    In each stimulated iteration the gradient is that of

    .. math:: L = L_{main} + weight \cdot \sum_{k=1}^{K} L_{sub,k}

    (ST++ eq. 1 with K subnets). The subnets run inside the model's forward, each with its own
    backward, so that at most one graph of a subnet is alive and everything else (gradient
    synchronisation, accumulation, clipping, loss scaling) is the ordinary training step.

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
        order: ``'main_first'`` runs the main network's backward at once, so that its graph does not
            wait in memory for the subnets'. With several ranks, gradients are then averaged at the
            end, and not while that backward runs. ``'subnets_first'`` leaves it to the training
            step. Defaults to the former where subnets learn from the main network's logits, unless
            the model has a ``train_step`` of its own, and else to the latter.
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

    def __post_init__(self) -> None:
        # The settings are frozen. This class is no dataclass: all else that it sets is free.
        super().__post_init__()
        self._supervision = build_part(SUPERVISIONS, self.supervision)
        self.input_rule: Any = None
        if self.inputs is not None:
            self.input_rule = build_part(INPUT_RULES, self.inputs)
        self._described: dict[str, str] | None = None
        self._resumed: Mapping[str, str] | None = None
        self._counts = self._no_counts()
        self._step_handle: Any = None
        self._scalars: PassScalars | None = None

    def before_train(self, runner: Runner) -> None:
        """Checks that model, run and settings go together, and says what will happen."""
        check_step(runner)
        self._model = unwrapped(runner.model)
        backbone = find_stimulated_backbone(self._model)
        check_model(self._model, backbone)
        check_image_sizes(type(self._model), self.input_rule)
        space = cast(DepthSpace, backbone.depth_space)
        self._schedule = Schedule.of(self, runner)
        any_pass = self.weight == 0 or self._schedule.trains_subnets
        check_run(runner, space, self.input_rule, any_pass)
        self._seed = common_seed(runner.seed) if self.seed is None else self.seed
        self._described = self._describe(runner.max_iters, space)
        if runner.iter > 0 and self._resumed is not None:
            warn_of_changes(self._resumed, self._described, runner.logger)
            self._counts = self._no_counts()
            self._counts.update(published_counts(runner.message_hub))
        self._cost = count_depth_cost(backbone, runner.logger)
        teacher = self._supervision.teacher(self._model)
        order = self.order or default_order(runner.model, has_teacher=teacher is not None)
        self._main_backward = None
        if order == 'main_first':
            self._main_backward = MainBackward(self._model, runner.optim_wrapper)
        self._forward = MainForward(self._model, teacher, self._main_backward)
        self._batch_is_checked = self.input_rule is None or self.weight == 0
        self._losses = LossCheck(runner.optim_wrapper, self.on_nonfinite == 'skip')
        self._watch_steps(runner)
        runner.optim_wrapper.zero_grad()  # an interrupted iteration may have left gradients
        self._trainer = SubnetTrainer(
            self._model,
            backbone,
            self._supervision,
            runner.optim_wrapper,
            inputs=self.input_rule,
            batch_fraction=self.batch_fraction,
            isolate_norm=self.norm == 'isolated',
            check=self._losses,
        )
        runner.logger.info(
            summarize(self._schedule, backbone, self._cost, self.input_rule, self._supervision)
        )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Arms the model's forward for this iteration."""
        self._scalars = None
        self._losses.forget()
        weight = self._schedule.weight_at(runner.iter)
        if weight > 0 or not self._batch_is_checked:
            self._forward.arm(functools.partial(self._on_forward, runner.iter, weight))
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
        if self._main_backward is not None:
            self._main_backward.check_received(runner.iter)
        self._losses.read()
        for name, value in (self._scalars.read() if self._scalars else {}).items():
            runner.message_hub.update_scalar(PREFIX + name, value)

    def after_train(self, runner: Runner) -> None:
        """Takes back what the run was observed by."""
        self._forward.disarm()
        self._step_handle.remove()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keeps the settings, to compare them when the run is resumed."""
        if self._described is not None:
            checkpoint[CHECKPOINT_KEY] = self._described

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Remembers the settings of the run that wrote the checkpoint."""
        self._resumed = checkpoint.get(CHECKPOINT_KEY, {})

    def _on_forward(self, step: int, weight: float, main: MainCall) -> None:
        if self.input_rule is not None and not self._batch_is_checked:
            # Ground truth that cannot be resized is an error in the first iteration.
            check_batch(self._model, main.inputs, main.data_samples, self.input_rule)
            self._batch_is_checked = True
        if weight > 0:
            with labelled(SUBNETS):
                self._train_subnets(step, weight, main)

    def _train_subnets(self, step: int, weight: float, main: MainCall) -> None:
        """Adds the gradients of weight times the sum of K subnets' losses."""
        others = {} if self.weight_schedule == 'constant' else {'weight': weight}
        scalars = PassScalars(self._counts, self._cost, self.input_rule, others)
        for index in range(self.num_subnets):
            draw = Draw(self._seed, step, index)
            scalars.add(self._trainer.train(draw, main, weight), main)
        self._scalars = scalars

    def _watch_steps(self, runner: Runner) -> None:
        """Lets losses be read once the optimiser is about to step, when all work is queued."""
        if self._step_handle is not None:  # of an interrupted run
            self._step_handle.remove()
        self._step_handle = runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self._losses.read()
        )

    def _describe(self, max_iters: int, space: DepthSpace) -> dict[str, str]:
        """Returns the settings that decide draws, sizes and weights, as text."""
        described = {**self.as_text(), 'seed': str(self._seed), 'space': str(space)}
        if self.weight_schedule != 'constant':
            described['max_iters'] = str(max_iters)
        return described

    def _no_counts(self) -> Counter[str]:
        """Counts of a new run, with those names that are published from its first pass on."""
        return Counter(skipped=0) if self.on_nonfinite == 'skip' else Counter()
