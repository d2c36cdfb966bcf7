"""Drawn predictions and test-time augmentation."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config, ConfigDict

from .library import library_of
from .traversal import leaf_datasets

__all__ = ['enable_tta', 'set_visualization']


def set_visualization(
    cfg: Config, *, show: bool, show_dir: str | None, wait_time: float, interval: int = 1
) -> Config:
    """Makes the config's visualization hook draw predictions, in place.

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


def _default_tta(scope: str, pipeline: Any) -> dict[str, Any]:
    if scope not in ('mmdet', 'mmpretrain'):
        return {}
    flips = [dict(type=f'{scope}.RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    pack = copy.deepcopy(pipeline[-1])
    if scope == 'mmpretrain':
        model: dict[str, Any] = dict(type='mmpretrain.AverageClsScoreTTA')
    else:
        nms = dict(type='nms', iou_threshold=0.5)
        model = dict(type='DetTTAModel', tta_cfg=dict(nms=nms, max_per_img=100))
        keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')
        pack = dict(type='mmdet.PackDetInputs', meta_keys=(*keys, 'flip_direction'))
    augment = dict(type='TestTimeAug', transforms=[flips, [pack]])
    return {'tta_model': model, 'tta_pipeline': [*copy.deepcopy(pipeline[:-1]), augment]}
