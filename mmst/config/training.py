"""Training configs for other purposes: only model, data and hook remain."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config, ConfigDict

from mmst.checkpoints.pretrained import names_checkpoint

from .traversal import type_name, type_path, unbuilt_type

__all__ = [
    'check_training',
    'import_mmst',
    'remove_pretrained',
    'remove_surroundings',
    'without_checkpoint',
    'wrap_backbone',
]

UNUSED_HOOKS = ('timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def check_training(cfg: Config) -> None:
    """Raises ValueError unless a config is one of a training."""
    missing = [key for key in ('train_dataloader', 'optim_wrapper', 'model') if not cfg.get(key)]
    if missing:
        raise ValueError(
            f'config must be a training config, got none of {", ".join(missing)}; give a config '
            'that tools/train.py takes'
        )


def remove_surroundings(cfg: Config) -> Config:
    """Removes validation, schedules, hooks, logs and visualisation backends, in place."""
    for name in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{name}_{part}'] = None
    cfg.param_scheduler = cfg.visualizer = None
    cfg.default_hooks = {name: None for name in UNUSED_HOOKS}
    cfg.custom_hooks = []
    cfg.log_level = 'WARNING'
    return cfg


def without_checkpoint(pretrained: Any) -> bool | None:
    """Value of ``pretrained`` that names no checkpoint; TIMMBackbone's is a bool."""
    return False if isinstance(pretrained, bool) else None


def remove_pretrained(node: Any) -> None:
    """Removes the names of checkpoints from a model's config, in place."""
    if isinstance(node, dict):
        if node.get('pretrained') is not None:
            node['pretrained'] = without_checkpoint(node['pretrained'])
        initial = node.get('init_cfg')
        if names_checkpoint(initial):
            node['init_cfg'] = None
        elif isinstance(initial, list):
            kept = [entry for entry in initial if not names_checkpoint(entry)]
            node['init_cfg'] = kept or None
        for value in node.values():
            remove_pretrained(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            remove_pretrained(value)


def import_mmst(cfg: Config) -> None:
    """Makes a config import mmst where it is read, in place."""
    settings: dict[str, Any] = cfg.get('custom_imports') or {}
    imports = settings.get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    if 'mmst' not in imports:
        cfg.custom_imports = dict(imports=[*imports, 'mmst'], allow_failed_imports=False)


def wrap_backbone(backbone: ConfigDict) -> None:
    """Makes ``STBackbone`` build a backbone, in place, unless it does."""
    if type_name(backbone) != 'STBackbone':
        backbone['wraps'] = type_path(unbuilt_type(backbone))
        backbone['type'] = 'mmst.STBackbone'
