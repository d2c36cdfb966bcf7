"""The registries of mmst, where mmengine and users of OpenMMLab look for them."""

from .engine.registry import FUNCTIONS, HOOKS, INPUT_RULES, MODELS, SUPERVISIONS, TRANSFORMS

__all__ = ['FUNCTIONS', 'HOOKS', 'INPUT_RULES', 'MODELS', 'SUPERVISIONS', 'TRANSFORMS']
