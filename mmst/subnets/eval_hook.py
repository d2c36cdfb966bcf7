"""Subnets watched during training: evaluated with the validations of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook, IterTimerHook, LoggerHook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmst.core import active_subnet
from mmst.core.norm import learning_norm_layers
from mmst.engine.model_parts import find_backbone, unwrapped
from mmst.engine.random_state import private_random_state
from mmst.engine.registry import HOOKS

from .evaluation import active_evaluated_subnet, default_recalibrate, numbers
from .loaders import TrainingBatches, build_loader
from .pareto import NO_RESULT, candidates, choose_metric, spread_subnets

__all__ = ['SubnetEvalHook']

Depths = tuple[int, ...]

SMALLEST = 'smallest'


@HOOKS.register_module()
class SubnetEvalHook(Hook):
    """Evaluates subnets with each validation, on its data and by its metrics.

    Each metric of a subnet is logged as ``subnet_3_3_4_3/coco/bbox_mAP``, and for one of them how
    much worse than the whole network's it is as ``subnet_3_3_4_3/gap/coco/bbox_mAP``: to all
    visualisation backends (``scalars.json``, TensorBoard, ...) at the step of the validation. The
    json file that :class:`mmengine.hooks.LoggerHook` writes for upstream's ``analyze_logs.py`` has
    none of it, for mmdet's would take all of these for the ``bbox_mAP`` of the run.

    The run is the same as without the hook: weights (of ``EMAHook`` too), norm statistics, other
    state, random numbers, data and checkpoints. Subnets have the weights that are validated, those
    of ``EMAHook`` where there is one. The end of the log says what share of the time they took.

    Put it into a config as ``default_hooks=dict(subnet_eval=dict(type='mmst.SubnetEvalHook',
    ...))``. It works with and without stimulative training.

    Args:
        subnets: ``'smallest'``, a list of depths, e.g. ``[(3, 3, 4, 3), (2, 2, 2, 2)]``, or a
            number of subnets: the smallest and others whose FLOPs are spread evenly between its and
            those of the whole network, see :func:`~mmst.subnets.pareto.spread_subnets`.
        interval: Validations from one evaluation of subnets to the next; the last one always has
            one.
        recalibrate: Training batches to recompute the norm statistics of a subnet from, 0 for none.
            Defaults to 100 if training updates those of the main network, else to none.
        metric: Metric to log the gap of. Defaults to what the config saves its best checkpoint by,
            else to the usual one of the task.

    Raises:
        ValueError: An argument is out of range.
    """

    priority = 'LOWEST'  # after EMAHook, whatever its priority, has put its weights in

    def __init__(
        self,
        subnets: int | str | Sequence[Sequence[int]] = SMALLEST,
        interval: int = 1,
        recalibrate: int | None = None,
        metric: str | None = None,
    ) -> None:
        _check_subnets(subnets)
        if interval < 1:
            raise ValueError(f'interval must be at least 1 validation, got {interval}')
        if recalibrate is not None and recalibrate < 0:
            raise ValueError(f'recalibrate must be at least 0 training batches, got {recalibrate}')
        self.subnets = subnets
        self.interval = interval
        self.recalibrate = recalibrate
        self.metric = metric
        self._plan: dict[Depths, int] = {}
        self._found: dict[Depths, dict[str, float]] = {}
        self._seconds: list[float] = []

    def before_train(self, runner: Runner) -> None:
        """Chooses the subnets, and checks that the run can evaluate them.

        Raises:
            ValueError: The run has no validation or no config, or the network no such subnet.
        """
        _check_run(runner)
        model = unwrapped(runner.model)
        chosen = _choose(self.subnets, model, runner)
        self._plan = {depths: self._batches(model, depths) for depths in chosen}
        self._training_batches = TrainingBatches(runner)
        self._found, self._seconds = {}, []
        self._start = time.perf_counter()
        names = '; '.join(map(_comma, chosen))
        runner.logger.info(f'Subnets that are evaluated with validations: {names}')

    def before_val_epoch(self, runner: Runner) -> None:
        """Evaluates the subnets.

        This comes before the whole network's own evaluation. Its files of predictions and the mode
        of the model are then those that remain, as without this hook.
        """
        self._found = {}
        if not self._plan or not self._is_due(runner):
            return
        start = time.perf_counter()
        device = next(runner.model.parameters()).device
        with (
            private_random_state(f'mmst.subnet_eval:{runner.seed}', device),
            _own_loader(runner),
            _without_hooks(runner),
        ):
            for depths, batches in self._plan.items():
                runner.logger.info(f'Evaluation of the subnet {_comma(depths)}')
                source = self._training_batches
                with active_evaluated_subnet(runner, depths, batches, source):
                    self._found[depths] = numbers(runner.val_loop.run())
        self._seconds.append(time.perf_counter() - start)
        for hook in runner.hooks:
            if isinstance(hook, IterTimerHook):
                hook.before_val_epoch(runner)  # the time is not that of the validation

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Logs the metrics of the subnets, and the gaps to the whole network's."""
        if not self._found:
            return
        whole = numbers(metrics or {})
        # A detector of mmdet that detects nothing has no metrics, the whole network's too.
        names = list(next(filter(None, (whole, *self._found.values())), {}))
        compared = choose_metric(runner.cfg, names, self.metric) if names else None
        lines = [f'whole network: {compared.text(whole) if compared else NO_RESULT}']
        scalars = {}
        for depths, found in self._found.items():
            prefix = f'subnet_{"_".join(map(str, depths))}'
            scalars.update({f'{prefix}/{name}': value for name, value in found.items()})
            line = f'{_comma(depths)}: {compared.text(found) if compared else NO_RESULT}'
            if compared and compared.name in whole and compared.name in found:
                gap = compared.gap(whole[compared.name], found[compared.name])
                scalars[f'{prefix}/gap/{compared.name}'] = gap
                line += f', gap {gap:.4f}'
            lines.append(line)
        if scalars:
            runner.visualizer.add_scalars(scalars, step=_step(runner))
        runner.logger.info('\n  '.join(['Subnets', *lines]))

    def after_train(self, runner: Runner) -> None:
        """Says what share of the time the subnets took."""
        spent, total = sum(self._seconds), time.perf_counter() - self._start
        runner.logger.info(
            f'Evaluation of {len(self._plan)} subnets, {len(self._seconds)} times, took '
            f'{spent:.1f} s: {spent / total:.1%} of the {total:.1f} s of the training'
        )
        self._plan = {}

    def _batches(self, model: nn.Module, depths: Depths) -> int:
        """Training batches for the statistics of a subnet.

        Raises:
            ValueError: There are no statistics to recompute.
        """
        if self.recalibrate is None:
            return default_recalibrate(model, depths)
        if self.recalibrate and not learning_norm_layers(model):
            raise ValueError(
                f'recalibrate must be 0 for a {type(model).__name__} without norm layers whose '
                f'statistics training changes, got {self.recalibrate}; remove it'
            )
        return self.recalibrate

    def _is_due(self, runner: Runner) -> bool:
        """Tells whether subnets are evaluated now, wherever the run was resumed."""
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        now, end = (
            (runner.epoch, runner.max_epochs) if by_epoch else (runner.iter, runner.max_iters)
        )
        return now == end or now % (self.interval * loop.val_interval) == 0


def _check_subnets(subnets: int | str | Sequence[Sequence[int]]) -> None:
    if isinstance(subnets, int):
        fits = subnets >= 1 and subnets is not True
    elif isinstance(subnets, str):
        fits = subnets == SMALLEST
    else:
        fits = len(subnets) > 0 and all(isinstance(depths, Sequence) for depths in subnets)
    if not fits:
        raise ValueError(
            f'subnets must be {SMALLEST!r}, a positive number, or a list of depths, got '
            f'{subnets!r}; for example 3, or [(3, 3, 4, 3)]'
        )


def _check_run(runner: Runner) -> None:
    if runner.val_loop is None:
        raise ValueError(
            'SubnetEvalHook needs a run with validation, got none: add val_dataloader, '
            'val_evaluator and val_cfg, or take the hook out of the config'
        )
    missing = [n for n in ('train_dataloader', 'val_dataloader') if not runner.cfg.get(n)]
    if missing:
        raise ValueError(
            f'SubnetEvalHook needs {" and ".join(missing)} in the config of the runner, got none; '
            'build it with Runner.from_cfg'
        )


def _choose(
    subnets: int | str | Sequence[Sequence[int]], model: nn.Module, runner: Runner
) -> list[Depths]:
    """Depths of the chosen subnets.

    Raises:
        ValueError: One does not fit the network, or is all of it; or FLOPs cannot be counted.
    """
    backbone = find_backbone(model)
    space = candidates(backbone)
    if isinstance(subnets, int):
        chosen = spread_subnets(backbone, subnets, runner.logger)
    elif isinstance(subnets, str):
        chosen = [space.smallest.depths]
    else:
        chosen = list(dict.fromkeys(tuple(depths) for depths in subnets))
    if not chosen or space.full in chosen:
        raise ValueError(
            f'subnets must have fewer blocks than the whole network {space.full}, which is '
            f'validated anyway, got {subnets!r}; remove it, or enlarge choices of the backbone'
        )
    for depths in chosen:
        with active_subnet(backbone, depths):
            pass
    return chosen


@contextmanager
def _own_loader(runner: Runner) -> Iterator[None]:
    """Lets the validation read its data through a loader of its own, with workers of its own."""
    loop = runner.val_loop
    original = loop.dataloader
    loop.dataloader = build_loader(runner, runner.cfg.val_dataloader, original.dataset)
    try:
        yield
    finally:
        loop.dataloader = original


@contextmanager
def _without_hooks(runner: Runner) -> Iterator[None]:
    """Lets nothing but the loop itself act in a validation."""
    hooks = list(runner.hooks)
    runner.hooks.clear()
    try:
        yield
    finally:
        runner.hooks[:] = hooks


def _step(runner: Runner) -> int:
    """The step that LoggerHook gives a validation."""
    loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
    by_epoch = all(hook.log_metric_by_epoch for hook in loggers)
    return runner.epoch if by_epoch else runner.iter


def _comma(depths: Depths) -> str:
    return ','.join(map(str, depths))
