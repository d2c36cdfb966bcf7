"""``--max-iters``: any training schedule as an iteration-based one of a given length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict

from .walk import type_name

__all__ = ['set_max_iters']

LOG_LINES = 20
"""A run logs at least this often, if it has as many iterations."""

_COUNTS = ('begin', 'end', 'T_max', 'step_size', 'total_steps', 'total_iters')
_LISTS_OF_COUNTS = ('milestones', 'periods')
_HORIZONS = ('total_steps', 'T_max', 'step_size', *_LISTS_OF_COUNTS)


def set_max_iters(cfg: Config, max_iters: int) -> Config:
    """Turns the schedule of a config into an iteration-based one, in place.

    The rule, for a schedule of T epochs (or iterations) made N iterations long:

    * ``train_cfg`` becomes an ``IterBasedTrainLoop`` of N iterations with one validation, at the
      end; a checkpoint is written there too.
    * Whatever ``param_scheduler`` counts in the unit of T is multiplied by N / T: milestones stay
      where they were relative to the end.
    * What an epoch-based schedule counts in iterations is its warm-up. That keeps its length, but
      takes at most N // 10 iterations, and is dropped where that is none.
    * Logs are counted in iterations, with at least 20 lines.
    * ``DefaultSampler`` becomes ``InfiniteSampler``: the same shuffling, no pause between epochs.
    * The starts of ``EMAHook`` and ``mmst.StimulativeHook`` follow the same rule. Other hooks that
      count epochs see one epoch.

    Args:
        cfg: Config with ``train_cfg``.
        max_iters: Length of the training in iterations, N.

    Returns:
        ``cfg``.

    Raises:
        ValueError: ``max_iters`` is below 1, or the config has no schedule that can be scaled.
    """
    if max_iters < 1:
        raise ValueError(f'--max-iters must be at least 1, got {max_iters}')
    scale = _Scale.of(cfg.get('train_cfg'), max_iters)
    if cfg.get('param_scheduler') is not None:
        cfg.param_scheduler = _scaled_schedulers(cfg.param_scheduler, scale)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
    _set_hooks(cfg, scale)
    _set_log_processor(cfg)
    _set_sampler(cfg)
    return cfg


@dataclass(frozen=True)
class _Scale:
    """How counts of the old schedule map to iterations of the new one."""

    new: int
    old: int
    by_epoch: bool

    @classmethod
    def of(cls, train_cfg: ConfigDict | None, max_iters: int) -> _Scale:
        if train_cfg is None:
            raise ValueError(
                '--max-iters needs a config with train_cfg, got none; use a training config'
            )
        loop = type_name(train_cfg)
        if loop not in (None, 'EpochBasedTrainLoop', 'IterBasedTrainLoop'):
            raise ValueError(
                f'--max-iters cannot replace the training loop {loop!r}; shorten it with '
                '--cfg-options train_cfg.…'
            )
        for name, by_epoch in (('max_epochs', True), ('max_iters', False)):
            if train_cfg.get(name) is not None:
                return cls(max_iters, train_cfg[name], by_epoch)
        raise ValueError(
            f'--max-iters needs max_epochs or max_iters in train_cfg, got {dict(train_cfg)}'
        )

    def apply(self, count: int, by_epoch: bool) -> int:
        if by_epoch == self.by_epoch:
            return round(count * self.new / self.old)
        return min(count, self.new // 10)


def _scaled_schedulers(schedulers: Any, scale: _Scale) -> Any:
    """Schedulers of one optimiser (a config or a list), or a dict of those of several."""
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        return {name: _scaled_schedulers(own, scale) for name, own in schedulers.items()}
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    scaled = (_scaled_scheduler(scheduler, scale) for scheduler in schedulers)
    return [scheduler for scheduler in scaled if scheduler is not None]


def _scaled_scheduler(scheduler: ConfigDict, scale: _Scale) -> ConfigDict | None:
    """Returns a new config of the scheduler, or None if it has no iteration left."""
    new = ConfigDict(scheduler)
    if 'ReduceOnPlateau' in str(type_name(new)):
        return new  # It is driven by validations.
    by_epoch = new.pop('by_epoch', True)
    new.pop('convert_to_iter_based', None)
    new.by_epoch = False
    if by_epoch and not scale.by_epoch:
        raise ValueError(
            f'param_scheduler {type_name(new)} counts epochs in an iteration-based schedule, where '
            'it never steps; set its by_epoch=False'
        )
    if not by_epoch and scale.by_epoch and any(name in new for name in _HORIZONS):
        scale, by_epoch = _Scale(scale.new, _horizon(new), by_epoch=False), False
    for name in _COUNTS:
        if new.get(name) is not None:
            new[name] = scale.apply(new[name], by_epoch)
    for name in _LISTS_OF_COUNTS:
        if name in new:
            new[name] = [max(1, scale.apply(count, by_epoch)) for count in new[name]]
    for name in ('T_max', 'step_size', 'total_steps', 'total_iters'):
        if new.get(name) is not None:
            new[name] = max(1, new[name])
    if 'Exponential' in str(type_name(new)) and by_epoch == scale.by_epoch:
        new.gamma = new.gamma ** (scale.old / scale.new)
    empty = new.get('end') is not None and new.end <= new.get('begin', 0)
    return None if empty else new


def _horizon(scheduler: ConfigDict) -> int:
    """Iterations after which a scheduler that is no warm-up has done its work."""
    begin = scheduler.get('begin', 0)
    if scheduler.get('end') is not None:
        return scheduler.end
    if 'milestones' in scheduler:
        return max(scheduler.milestones) + begin
    if 'periods' in scheduler:
        return sum(scheduler.periods) + begin
    for name in ('total_steps', 'T_max'):
        if name in scheduler:
            return scheduler[name] + begin
    raise ValueError(
        f'--max-iters cannot tell how long param_scheduler {type_name(scheduler)} is meant to '
        'last; give it an end in --cfg-options, or count it in epochs'
    )


def _set_hooks(cfg: Config, scale: _Scale) -> None:
    hooks = ConfigDict(cfg.get('default_hooks') or {})
    checkpoint = ConfigDict(hooks.get('checkpoint') or dict(type='CheckpointHook'))
    checkpoint.pop('save_begin', None)
    checkpoint.update(by_epoch=False, interval=scale.new, save_last=True)
    logger = ConfigDict(hooks.get('logger') or dict(type='LoggerHook'))
    logger.interval = min(logger.get('interval', 10), max(1, scale.new // LOG_LINES))
    logger.log_metric_by_epoch = False
    hooks.update(checkpoint=checkpoint, logger=logger)
    cfg.default_hooks = hooks
    for hook in _hooks(cfg):
        _set_hook_start(hook, scale)


def _hooks(cfg: Config) -> Iterator[ConfigDict]:
    for hook in (*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or ())):
        if isinstance(hook, dict):
            yield hook


def _set_hook_start(hook: ConfigDict, scale: _Scale) -> None:
    if type_name(hook) == 'EMAHook':
        for name, by_epoch in (('begin_iter', False), ('begin_epoch', True)):
            if hook.get(name):
                hook.begin_iter = scale.apply(hook.pop(name), by_epoch)
    elif type_name(hook) == 'StimulativeHook':
        by_epoch = hook.pop('by_epoch', False)
        if hook.get('begin'):
            hook.begin = scale.apply(hook.begin, by_epoch)


def _set_log_processor(cfg: Config) -> None:
    processor = ConfigDict(cfg.get('log_processor') or {})
    processor.by_epoch = False
    for statistic in processor.get('custom_cfg') or ():
        if statistic.get('window_size') == 'epoch':
            statistic.window_size = 'global'
    cfg.log_processor = processor


def _set_sampler(cfg: Config) -> None:
    loader = cfg.get('train_dataloader')
    sampler = (loader or {}).get('sampler')
    if sampler is not None and type_name(sampler) == 'DefaultSampler':
        kept = {name: sampler[name] for name in ('shuffle', 'seed') if name in sampler}
        loader.sampler = dict(type='InfiniteSampler', **kept)
