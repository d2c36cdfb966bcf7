"""Classes that a config names."""

from __future__ import annotations

import inspect

from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import MODELS

from .trained_backbone import is_wrapped
from .traversal import unbuilt_type

__all__ = ['class_of']


def class_of(cfg: Config, node: ConfigDict) -> type:
    """Class of the model of a config, or of a part of it; of ``STBackbone``'s what it wraps.

    Returns:
        The class; ``NoneType`` where the type is no class or is not registered.
    """
    kind = dict.get(node, 'wraps') if is_wrapped(node) else unbuilt_type(node)
    if isinstance(kind, (LazyAttr, LazyObject)):
        kind = kind.build()
    if isinstance(kind, str):
        scope = cfg.model.get('_scope_') or cfg.get('default_scope')
        with MODELS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    return kind if inspect.isclass(kind) else type(None)
