"""What ``tools/test.py`` changes in a config, and where its results go."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.registry import METRICS
from mmengine.runner import Runner

from .library import library_of
from .traversal import leaf_datasets

__all__ = ['OutputFiles', 'enable_tta', 'set_output', 'set_visualization']

PICKLES = ('.pkl', '.pickle')
TABLES = ('.json', '.yaml', '.yml')


def set_visualization(
    cfg: Config, *, show: bool, show_dir: str | None, wait_time: float, interval: int = 1
) -> Config:
    """Lets the config's visualization hook draw predictions, in place.

    Args:
        cfg: Config.
        show: Whether to open windows.
        show_dir: Folder for drawn images.
        wait_time: How long each window stays, in seconds.
        interval: Draw every n-th sample, where the library's hook has that option for tests.

    Returns:
        ``cfg``.

    Raises:
        ValueError: The config has no visualization hook.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if not hook:
        raise ValueError(
            '--show and --show-dir need default_hooks.visualization in the config, got none; add '
            "the library's hook, e.g. dict(type='DetVisualizationHook')"
        )
    library = library_of(cfg)
    hook[library.draw_option] = True
    if library.draw_option == 'enable':
        hook.interval = interval
    if show:
        hook.show = True
        hook.wait_time = wait_time
    if show_dir:
        target = cfg.visualizer if library.show_dir_option == 'save_dir' else hook
        target[library.show_dir_option] = show_dir
    return cfg


def enable_tta(cfg: Config) -> Config:
    """Switches a config to test-time augmentation, in place.

    mmdet and mmpretrain have a default (flipping), the others need ``tta_model`` and
    ``tta_pipeline`` in the config.

    Raises:
        ValueError: The config has none, and its library no default; or it has no test data.
    """
    leaf = next(leaf_datasets(cfg, ('test_dataloader',)), None)
    if leaf is None:
        raise ValueError('--tta needs a test_dataloader with a dataset in the config, got none')
    for name, default in _default_tta(library_of(cfg).scope, leaf.get('pipeline')).items():
        cfg.setdefault(name, default)
    missing = [name for name in ('tta_model', 'tta_pipeline') if name not in cfg]
    if missing:
        raise ValueError(
            f'--tta needs {" and ".join(missing)} in the config, got none; leave --tta out, or add '
            'them'
        )
    leaf.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(cfg.tta_model, module=cfg.model)
    return cfg


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
    for metric in (
        [cfg.test_evaluator] if isinstance(cfg.test_evaluator, dict) else cfg.test_evaluator
    ):
        metric.output_dir = out
    return OutputFiles(None, dumps)


def _default_tta(scope: str, pipeline: Any) -> dict[str, Any]:
    if scope not in ('mmdet', 'mmpretrain'):
        return {}
    flips = [dict(type=f'{scope}.RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    pack = copy.deepcopy(pipeline[-1])
    if scope == 'mmpretrain':
        model = dict(type='mmpretrain.AverageClsScoreTTA')
    else:
        nms = dict(type='nms', iou_threshold=0.5)
        model = dict(type='DetTTAModel', tta_cfg=dict(nms=nms, max_per_img=100))
        keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')
        pack = dict(type='mmdet.PackDetInputs', meta_keys=(*keys, 'flip_direction'))
    augment = dict(type='TestTimeAug', transforms=[flips, [pack]])
    return {'tta_model': model, 'tta_pipeline': [*copy.deepcopy(pipeline[:-1]), augment]}
