"""``--resume``, and runs that an interruption does not change."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config, ConfigDict

__all__ = ['make_resumable', 'set_resume']


def set_resume(cfg: Config, resume: str) -> Config:
    """Continues an interrupted run, in place.

    Args:
        cfg: Config, with its ``work_dir``.
        resume: ``'auto'`` for the latest checkpoint of ``work_dir`` (a new run if there is
            none), or a file.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file is missing.
    """
    if resume != 'auto' and '://' not in resume and not Path(resume).is_file():
        raise FileNotFoundError(
            f'--resume needs an existing checkpoint, got {resume!r}; leave the path out to '
            'continue from the latest one in the work dir'
        )
    cfg.resume = True
    cfg.load_from = None if resume == 'auto' else resume
    return cfg


def make_resumable(cfg: Config) -> Config:
    """Makes a run independent of interruptions, in place.

    Random numbers then depend on the seed and the iteration alone, see
    :class:`mmst.RandomStateHook`; those of data loading workers too, which are started again in
    each epoch.
    """
    hooks = ConfigDict(cfg.get('default_hooks') or {})
    hooks.setdefault('random_state', dict(type='mmst.RandomStateHook'))
    cfg.default_hooks = hooks
    loader = cfg.get('train_dataloader')
    # Workers of an iteration-based loop repeat what they did: mmengine loads all batches again.
    by_epoch = 'max_epochs' in (cfg.get('train_cfg') or {})
    if loader and by_epoch and loader.get('num_workers', 0) and 'worker_init_fn' not in loader:
        loader.persistent_workers = False
        loader.worker_init_fn = dict(type='mmst.seed_worker')
        loader.pop('disable_subprocess_warning', None)
    return cfg
