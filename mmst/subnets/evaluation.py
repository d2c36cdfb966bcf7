"""A subnet of the trained network with its own norm statistics, evaluated or exported."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce_params
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmst.config.options import set_seed
from mmst.config.traversal import type_name
from mmst.core import active_subnet, recalibrate_norm, residual_stages
from mmst.core.norm import kept_modes, learning_norm_layers
from mmst.engine.model_parts import find_backbone, unwrapped
from mmst.engine.random_state import private_random_state

__all__ = [
    'check_recalibrate',
    'default_recalibrate',
    'parse_depths',
    'prepare_subnet_test',
    'recalibrated_subnet',
    'run_subnet_test',
]

RECALIBRATION_BATCHES = 100
"""Training batches from which a subnet's norm statistics are computed by default."""


def parse_depths(text: str) -> tuple[int, ...]:
    """Reads ``'2,3,4,2'``.

    Raises:
        ValueError: It is no list of positive integers.
    """
    try:
        depths = tuple(int(part) for part in text.split(','))
    except ValueError:
        depths = ()
    if not depths or min(depths) < 1:
        raise ValueError(
            f'--depths must be positive integers separated by commas, one per stage, got {text!r}; '
            'for example 2,3,4,2'
        )
    return depths


def check_recalibrate(recalibrate: int | None) -> None:
    """Checks a number of training batches; None means the default.

    Raises:
        ValueError: It is negative.
    """
    if recalibrate is not None and recalibrate < 0:
        raise ValueError(f'--recalibrate must be at least 0, got {recalibrate}')


def prepare_subnet_test(cfg: Config) -> Config:
    """Edits a config, in place, so that :func:`run_subnet_test` can test it, repeatably.

    A run without seed gets seed 0, which decides the batches of the recalibration. mmengine's EMA
    hook goes: checkpoints hold the averaged weights as the model's own, so the hook would swap them
    for a copy of themselves, parameter by parameter in order, which fails where blocks are skipped.
    """
    if (cfg.get('randomness') or {}).get('seed') is None:
        set_seed(cfg, 0)
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [hook for hook in hooks if type_name(hook) != 'EMAHook']
    return cfg


def run_subnet_test(
    runner: Runner, depths: tuple[int, ...], recalibrate: int | None = None
) -> dict[str, Any]:
    """Loads the checkpoint into the whole network, then tests a subnet of it.

    Args:
        runner: Runner of a config from :func:`prepare_subnet_test`.
        depths: Leading blocks kept in each stage of the backbone.
        recalibrate: Training batches to recompute norm statistics from, 0 for none. Defaults to 100
            if training would update the statistics of the main network (which do not suit a
            subnet), else to none.

    Returns:
        The metrics.

    Raises:
        ValueError: ``depths`` do not fit the backbone, or ``recalibrate`` is negative.
    """
    with recalibrated_subnet(runner, depths, recalibrate):
        return runner.test()


@contextlib.contextmanager
def recalibrated_subnet(
    runner: Runner, depths: tuple[int, ...], recalibrate: int | None = None
) -> Iterator[nn.Module]:
    """Loads the checkpoint into the whole network, which is a subnet within the context.

    Its norm statistics are then its own. They depend on checkpoint, config, seed and depths alone:
    neither on what ran before, nor does the context change random numbers drawn after it.

    Args:
        runner: Runner of a config from :func:`prepare_subnet_test`.
        depths: Leading blocks kept in each stage of the backbone.
        recalibrate: As in :func:`run_subnet_test`.

    Yields:
        The model, without wrappers of distribution or test-time augmentation.

    Raises:
        ValueError: ``depths`` do not fit the backbone, or ``recalibrate`` is negative.
    """
    check_recalibrate(recalibrate)
    model = unwrapped(runner.model)
    if recalibrate is None:
        recalibrate = default_recalibrate(model, depths)
    backbone = find_backbone(model)
    runner.load_or_resume()
    with active_subnet(backbone, depths), contextlib.ExitStack() as stack:
        if recalibrate:
            device = next(model.parameters()).device
            with private_random_state(f'mmst.recalibrate:{runner.seed}', device):
                loader = runner.build_dataloader(runner.cfg.train_dataloader, seed=runner.seed)
                batches = _counted(itertools.islice(loader, recalibrate), runner.logger.info)
                forward = _loss_forward(model)
                stack.enter_context(recalibrate_norm(model, batches, forward))
            _average_over_ranks(model)
        yield model


def default_recalibrate(model: nn.Module, depths: tuple[int, ...]) -> int:
    """Returns from how many training batches a subnet's statistics are computed by default.

    Raises:
        ValueError: The model has no backbone.
    """
    full = tuple(len(stage) for stage in residual_stages(find_backbone(model)))
    return RECALIBRATION_BATCHES if depths != full and _has_live_norm(model) else 0


def _has_live_norm(model: nn.Module) -> bool:
    """Tells whether training would update norm statistics (not with ``norm_eval``)."""
    with kept_modes(model):
        model.train()
        return any(layer.training for layer in learning_norm_layers(model))


def _counted(batches: Iterable[Any], log: Callable[[str], None]) -> Iterator[Any]:
    """Passes batches on, then logs their number (``len`` of an infinite loader is not it)."""
    count = 0
    for batch in batches:
        yield batch
        count += 1
    log(f'Norm statistics from {count} training batches.')


def _loss_forward(model: BaseModel) -> Any:
    def forward(batch: Any) -> None:
        data = model.data_preprocessor(batch, training=True)
        if isinstance(data, Mapping):
            model(**data, mode='loss')
        else:
            model(*data, mode='loss')

    return forward


def _average_over_ranks(model: nn.Module) -> None:
    with torch.no_grad():
        all_reduce_params(
            [
                buffer
                for name, buffer in model.named_buffers()
                if name.endswith(('running_mean', 'running_var'))
            ],
            op='mean',
        )
