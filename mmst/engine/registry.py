"""Registries of the scope ``mmst``: configs name their members ``mmst.Name``."""

from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

__all__ = ['FUNCTIONS', 'HOOKS', 'INPUT_RULES', 'MODELS', 'SUPERVISIONS', 'TRANSFORMS']

FUNCTIONS = Registry('function', scope='mmst', parent=ROOT_FUNCTIONS)
HOOKS = Registry('hook', scope='mmst', parent=ROOT_HOOKS)
MODELS = Registry('model', scope='mmst', parent=ROOT_MODELS)
# Its members need task libraries, so they are imported when one of them is first asked for.
TRANSFORMS = Registry(
    'transform',
    scope='mmst',
    parent=ROOT_TRANSFORMS,
    locations=['mmst.tasks.uniform_augment', 'mmst.tasks.lighting'],
)
SUPERVISIONS = Registry('supervision', scope='mmst')
"""What a subnet learns from."""
INPUT_RULES = Registry('input rule', scope='mmst')
"""How large the input of a subnet is."""
