"""Export of a subnet: its own checkpoint and config."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from torch import Tensor, nn

from mmst.checkpoints import CONVERT_SCHEME, load_checkpoint, write_checkpoint
from mmst.checkpoints.build import build_model
from mmst.checkpoints.write import file_sha256, write_whole
from mmst.engine.model_parts import unwrapped
from mmst.version import __version__

from .config import make_subnet_config
from .evaluation import default_recalibrate, recalibrated_subnet

__all__ = ['ExportedSubnet', 'export_subnet', 'subnet_checkpoint']


@dataclass(frozen=True)
class ExportedSubnet:
    """A subnet that was written.

    Args:
        config: Its config file.
        checkpoint: Its checkpoint, beside the config.
        model: The network, on the CPU, in evaluation mode.
    """

    config: Path
    checkpoint: Path
    model: nn.Module


def export_subnet(
    runner: Runner,
    base: Config,
    depths: tuple[int, ...],
    file: Path,
    recalibrate: int | None = None,
) -> ExportedSubnet:
    """Writes a subnet as a separate network.

    Args:
        runner: Runner of the whole network that will load its checkpoint, a local file, see
            :func:`mmst.subnets.evaluation.prepare_subnet_test`.
        base: Config of the whole network, without what is set for this run alone.
        depths: Leading blocks kept in each stage.
        file: Path of what is written, without suffix.
        recalibrate: See :func:`mmst.subnets.evaluation.run_subnet_test`.

    Raises:
        ValueError: ``depths`` do not fit the backbone.
    """
    config, checkpoint = (file.with_name(f'{file.name}.{suffix}') for suffix in ('py', 'pth'))
    cfg = make_subnet_config(base, depths, checkpoint.name)
    if recalibrate is None:
        recalibrate = default_recalibrate(unwrapped(runner.model), depths)
    with recalibrated_subnet(runner, depths, recalibrate) as whole:
        content = subnet_checkpoint(whole, cfg, runner.cfg.load_from, depths, recalibrate)
    model = _build(cfg, content['state_dict'])
    write_checkpoint(content, checkpoint, checkpoint.stem)
    write_whole(config, cfg.dump)
    return ExportedSubnet(config, checkpoint, model)


def subnet_checkpoint(
    model: nn.Module,
    cfg: Config,
    source: str | PathLike[str],
    depths: Sequence[int],
    recalibrate: int,
) -> dict[str, Any]:
    """Makes the checkpoint of a subnet, for ``torch.save``.

    Args:
        model: The model as its subnet, with the statistics of the subnet, see
            :func:`mmst.subnets.evaluation.recalibrated_subnet`.
        cfg: Config of the exported subnet, see :func:`mmst.subnets.config.make_subnet_config`.
        source: Local checkpoint of the whole network, as in ``load_from``.
        depths: Leading blocks kept in each stage.
        recalibrate: Training batches that norm statistics were computed from.

    Returns:
        The state dict, on the CPU and a copy, and ``meta``: where it comes from under ``subnet``,
        and what OpenMMLab's inference functions read.
    """
    loaded = {} if str(source).startswith(CONVERT_SCHEME) else load_checkpoint(source)
    file = Path(str(source).removeprefix(CONVERT_SCHEME))
    meta = loaded.get('meta') or {} if 'state_dict' in loaded else {}
    kept = {'dataset_meta': meta['dataset_meta']} if 'dataset_meta' in meta else {}
    state_dict = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    return {
        'meta': {
            **kept,
            'cfg': cfg.pretty_text,
            'mmengine_version': mmengine.__version__,
            'mmst_version': __version__,
            'time': datetime.datetime.now().isoformat(timespec='seconds'),
            'subnet': {
                'source': file.name,
                'source_sha256': file_sha256(file),
                'depths': list(depths),
                'recalibrate': recalibrate,
            },
        },
        'state_dict': state_dict,
    }


def _build(cfg: Config, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Builds the network, whose tensors must be exactly those of the state dict."""
    model = build_model(cfg)
    model.load_state_dict(state_dict, strict=True)
    return revert_sync_batchnorm(model).eval()
