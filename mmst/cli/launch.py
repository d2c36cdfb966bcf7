"""Start of a run: the launcher, also without accelerators, and the Runner."""

from __future__ import annotations

import datetime
import importlib
import os

import torch.distributed
from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmst.config.library import library_of
from mmst.engine.accelerator import has_accelerator

__all__ = ['build_runner', 'set_launcher']


def set_launcher(cfg: Config, launcher: str, local_rank: int = 0) -> Config:
    """Prepares a (distributed) run, in place.

    mmengine's launchers need an accelerator. Without one, ``'pytorch'`` starts the process group
    here, with gloo on the CPU, and tells mmengine to wrap the model without device ids.

    Args:
        cfg: Config.
        launcher: ``'none'``, ``'pytorch'`` (torchrun), ``'slurm'`` or ``'mpi'``.
        local_rank: Of this process, where the launcher did not set ``LOCAL_RANK``.

    Returns:
        ``cfg``.

    Raises:
        RuntimeError: The process was not started by the launcher, or the launcher needs an
            accelerator and there is none.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.launcher = launcher
    if launcher == 'none':
        return cfg
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise RuntimeError(
            '--launcher pytorch needs a process started by torchrun (RANK is not set); use '
            'tools/dist_train.sh CONFIG GPUS, or leave --launcher out'
        )
    if not has_accelerator():
        if launcher != 'pytorch':
            raise RuntimeError(
                f'--launcher {launcher} needs an accelerator, found none; use --launcher pytorch, '
                'which also works on CPUs'
            )
        _start_on_cpu(cfg)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Builds the config's own type of Runner, mmengine's by default."""
    if library_of(cfg).scope == 'mmdet':  # as its own scripts do
        importlib.import_module('mmdet.utils').setup_cache_size_limit_of_dynamo()
    if 'runner_type' not in cfg:
        return Runner.from_cfg(cfg)
    with RUNNERS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        return registry.build(cfg)


def _start_on_cpu(cfg: Config) -> None:
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        # The default of mmengine, but for device_ids.
        wrapper = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
    cfg.model_wrapper_cfg = ConfigDict(wrapper, device_ids=None)
    if not torch.distributed.is_initialized():
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))
