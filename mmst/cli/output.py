"""Files with the results of a test: ``--out``, ``--out-item`` and ``--dump``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmst.config.library import library_of

__all__ = ['OutputFiles', 'set_output']

PICKLES = ('.pkl', '.pickle')
TABLES = ('.json', '.yaml', '.yml')


@dataclass(frozen=True)
class OutputFiles:
    """Files that a test writes.

    Attributes:
        metrics: File for metrics.
        predictions: Pickle files for predictions.
    """

    metrics: str | None = None
    predictions: tuple[str, ...] = ()

    def register(self, runner: Runner, cfg: Config) -> None:
        """Makes a runner write its predictions."""
        with METRICS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            for file in self.predictions:
                metric = dict(type=library_of(cfg).dump_metric, out_file_path=file)
                runner.test_evaluator.metrics.append(registry.build(metric))

    def write(self, metrics: dict[str, Any]) -> None:
        """Writes the metrics, from the main process."""
        if self.metrics and is_main_process():
            mmengine.mkdir_or_exist(Path(self.metrics).parent)
            mmengine.dump(metrics, self.metrics)


def set_output(
    cfg: Config, out: str | None, out_item: str | None = None, dump: str | None = None
) -> OutputFiles:
    """Decides which files a test writes; a folder for mmseg is set in the config, in place.

    Args:
        cfg: Config.
        out: A ``.pkl`` file for predictions (for metrics with mmpose, as in its own script), a
            ``.json`` or ``.yaml`` file for metrics, or a folder for segmentation maps.
        out_item: ``'metrics'`` or ``'pred'``: what ``out`` is for, against its ending.
        dump: A ``.pkl`` file for predictions.

    Raises:
        ValueError: A file does not have the ending that its content needs.
    """
    if out_item and not out:
        raise ValueError(f'--out-item {out_item} needs --out FILE, got none')
    if dump and Path(dump).suffix not in PICKLES:
        raise ValueError(f'--dump must end in {" or ".join(PICKLES)}, got {dump!r}')
    dumps = (dump,) if dump else ()
    if not out:
        return OutputFiles(None, dumps)
    suffix, scope = Path(out).suffix, library_of(cfg).scope
    if out_item is None and scope == 'mmpose':
        out_item = 'metrics'
    if suffix in PICKLES and out_item != 'metrics':
        return OutputFiles(None, (out, *dumps))
    if suffix in PICKLES + TABLES and out_item != 'pred':
        return OutputFiles(out, dumps)
    if suffix or scope != 'mmseg':
        raise ValueError(
            f'--out must end in {", ".join(PICKLES)} for predictions or in {", ".join(TABLES)} for '
            f'metrics, got {out!r}; only mmseg writes to a folder'
        )
    metric: Any
    for metric in (
        [cfg.test_evaluator] if isinstance(cfg.test_evaluator, dict) else cfg.test_evaluator
    ):
        metric.output_dir = out
    return OutputFiles(None, dumps)
