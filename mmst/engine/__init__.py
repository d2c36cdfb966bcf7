"""Binding of :mod:`mmst.core` to mmengine."""

from .inputs import RandomSmallerInput
from .registry import HOOKS, INPUT_RULES, MODELS, SUPERVISIONS
from .stimulative_hook import StimulativeHook
from .subnet_pass import find_stimulated_backbone
from .supervision import GroundTruthSupervision
from .task import ImageResize, Task, register_ground_truth, register_task

__all__ = [
    'HOOKS',
    'INPUT_RULES',
    'MODELS',
    'SUPERVISIONS',
    'GroundTruthSupervision',
    'ImageResize',
    'RandomSmallerInput',
    'StimulativeHook',
    'Task',
    'find_stimulated_backbone',
    'register_ground_truth',
    'register_task',
]
