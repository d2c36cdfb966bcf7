"""Search for the backbone of a config that is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from .traversal import type_name

__all__ = ['is_wrapped', 'trained_backbone']


def trained_backbone(cfg: Config) -> tuple[ConfigDict, str]:
    """Finds the backbone of a config, of a student and its teacher the student's.

    Returns:
        The backbone, and where it is: ``'model.backbone'``.

    Raises:
        ValueError: There is none, or there are several.
    """
    model = cfg.get('model') or {}
    found = {where: node for where, node in _backbones(model, 'model')}
    stimulated = {where: node for where, node in found.items() if is_wrapped(node)}
    found = stimulated or found
    if len(found) == 1:
        return next((node, where) for where, node in found.items())
    if found:
        raise ValueError(
            f'config must have one backbone to be stimulated by itself, got {len(found)}: '
            f'{", ".join(found)}. Let mmst.STBackbone build the one to be trained (docs/usage.md)'
        )
    files = [kind for kind in dict.values(model) if isinstance(kind, str) and kind.endswith('.py')]
    remedy = (
        f'its networks are in other files ({", ".join(files)}), of which the trained one can be'
        if files
        else 'give one of a detector, segmenter, pose estimator or classifier'
    )
    raise ValueError(
        f'config must have a model with a backbone to be stimulated, got '
        f'{type_name(model) or "no model"} without; {remedy}'
    )


def is_wrapped(node: ConfigDict) -> bool:
    """Tells whether ``STBackbone`` builds a backbone."""
    return type_name(node) == 'STBackbone'


def _backbones(node: Any, where: str) -> Iterator[tuple[str, ConfigDict]]:
    """Yields backbones, and of one that runs another inside that one; none of teachers."""
    if isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _backbones(value, f'{where}.{index}')
    if not isinstance(node, dict):
        return
    for name, value in dict.items(node):
        inside = f'{where}.{name}'
        if name.startswith('teacher'):
            continue
        if name in ('backbone', 'backbone_cfg') and isinstance(value, dict) and 'type' in value:
            yield from list(_backbones(value, inside)) or [(inside, value)]
        else:
            yield from _backbones(value, inside)
