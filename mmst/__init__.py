"""Stimulative training for OpenMMLab.

Importing registers everything under the scope ``mmst`` and allows current torch to read mmengine's
checkpoints; no task library is imported.
"""

from . import tasks as tasks  # registers where each library keeps its ground truth
from .checkpoints import register_safe_globals
from .engine import (
    GroundTruthSupervision,
    LogitSupervision,
    RandomSmallerInput,
    RandomStateHook,
    StimulativeHook,
    register_ground_truth,
)
from .models import KLDivLoss, KLMinusLoss, LogitNormCrossEntropyLoss, STBackbone
from .version import __version__

register_safe_globals()

__all__ = [
    'GroundTruthSupervision',
    'KLDivLoss',
    'KLMinusLoss',
    'LogitNormCrossEntropyLoss',
    'LogitSupervision',
    'RandomSmallerInput',
    'RandomStateHook',
    'STBackbone',
    'StimulativeHook',
    '__version__',
    'register_ground_truth',
]
