"""Binding of :mod:`mmst.core` to mmengine.

Begin with ``stimulative_hook``, which says when subnets are trained, and ``subnet_pass``, which
says how one of them is. ``docs/design/training_step.md`` lists the other files.
"""

from .inputs import RandomSmallerInput
from .model_parts import find_stimulated_backbone
from .random_state import seed_worker
from .random_state_hook import RandomStateHook
from .registry import FUNCTIONS, HOOKS, INPUT_RULES, MODELS, SUPERVISIONS
from .stimulative_hook import StimulativeHook
from .supervision import GroundTruthSupervision, LogitSupervision

__all__ = [
    'FUNCTIONS',
    'HOOKS',
    'INPUT_RULES',
    'MODELS',
    'SUPERVISIONS',
    'GroundTruthSupervision',
    'LogitSupervision',
    'RandomSmallerInput',
    'RandomStateHook',
    'StimulativeHook',
    'find_stimulated_backbone',
    'seed_worker',
]
