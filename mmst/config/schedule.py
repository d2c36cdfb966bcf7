"""``--max-iters``: any training schedule as an iteration-based one of a given length."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict

from .schedulers import Scale, scale_schedulers
from .traversal import type_name

__all__ = ['set_max_iters']

LOG_LINES = 20
"""A run logs at least this often, if it has as many iterations."""


def set_max_iters(cfg: Config, max_iters: int) -> Config:
    """Turns the schedule of a config into an iteration-based one, in place.

    The rule, for a schedule of T epochs (or iterations) made N iterations long:

    * ``train_cfg`` becomes an ``IterBasedTrainLoop`` of N iterations with one validation, at the
      end; a checkpoint is written there too.
    * Whatever ``param_scheduler`` counts in the unit of T is multiplied by N / T: milestones stay
      where they were relative to the end.
    * What an epoch-based schedule counts in iterations is its warm-up. That keeps its length, but
      takes at most N // 10 iterations.
    * A warm-up that has less than two iterations left is dropped, and a decay gets as many as it
      needs to arrive: the rest of the run has the value that it has in the whole schedule.
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
    scale = _scale(cfg.get('train_cfg'), max_iters)
    if cfg.get('param_scheduler') is not None:
        cfg.param_scheduler = scale_schedulers(cfg.param_scheduler, scale)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
    _set_hooks(cfg, scale)
    _set_log_processor(cfg)
    _set_sampler(cfg)
    return cfg


def _scale(train_cfg: ConfigDict | None, max_iters: int) -> Scale:
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
            return Scale(max_iters, train_cfg[name], by_epoch)
    raise ValueError(
        f'--max-iters needs max_epochs or max_iters in train_cfg, got {dict(train_cfg)}'
    )


def _set_hooks(cfg: Config, scale: Scale) -> None:
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


def _set_hook_start(hook: ConfigDict, scale: Scale) -> None:
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
