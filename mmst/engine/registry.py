"""Registries of the scope ``mmst``: configs name their members ``mmst.Name``."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

__all__ = [
    'FUNCTIONS',
    'HOOKS',
    'INPUT_RULES',
    'MODELS',
    'SUPERVISIONS',
    'TRANSFORMS',
    'build_part',
]

FUNCTIONS = Registry('function', scope='mmst', parent=ROOT_FUNCTIONS)
HOOKS = Registry('hook', scope='mmst', parent=ROOT_HOOKS)
MODELS = Registry('model', scope='mmst', parent=ROOT_MODELS)
# Its members need task libraries, so they are imported when one of them is first asked for.
TRANSFORMS = Registry(
    'transform',
    scope='mmst',
    parent=ROOT_TRANSFORMS,
    locations=['mmst.transforms.uniform_augment', 'mmst.transforms.lighting'],
)
SUPERVISIONS = Registry('supervision', scope='mmst')
"""The targets that a subnet learns from."""
INPUT_RULES = Registry('input rule', scope='mmst')
"""The sizes of a subnet's inputs."""


def build_part(registry: Registry, config: Mapping[str, Any]) -> Any:
    """Builds a member of a registry that exists in mmst only.

    ``Registry.build`` would look for the registry in the library of the config, or, told the scope,
    leave that library: its losses would not be found by their names.

    Args:
        registry: :data:`SUPERVISIONS` or :data:`INPUT_RULES`.
        config: ``type`` and arguments.

    Raises:
        KeyError: No member is called so.
    """
    settings = dict(config)
    kind = settings.pop('type')
    cls = registry.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        known = ', '.join(f"'mmst.{name}'" for name in registry.module_dict)
        raise KeyError(f'type of the {registry.name} must be one of {known}, got {kind!r}')
    return cls(**settings)
