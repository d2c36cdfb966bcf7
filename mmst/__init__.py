"""Stimulative training for OpenMMLab.

Importing registers everything under the scope ``mmst``, allows current torch to read mmengine's
checkpoints, and mmengine to convert those named ``mmst://FILE``; no task library is imported.
``mmst.UniformAugment`` imports mmpretrain when it is used.
"""

from typing import TYPE_CHECKING, Any

from .checkpoints import register_safe_globals, register_scheme
from .config import stimulate
from .engine import (
    GroundTruthSupervision,
    LogitSupervision,
    RandomSmallerInput,
    RandomStateHook,
    StimulativeHook,
)
from .ground_truth import register_ground_truth
from .models import KLDivLoss, KLMinusLoss, LogitNormCrossEntropyLoss, STBackbone
from .version import __version__

if TYPE_CHECKING:
    from mmst.transforms.uniform_augment import UniformAugment as UniformAugment

register_safe_globals()
register_scheme()

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
    'stimulate',
]


def __getattr__(name: str) -> Any:
    # Not in __all__: a star import would need mmpretrain.
    if name == 'UniformAugment':
        from mmst.transforms.uniform_augment import UniformAugment

        return UniformAugment
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
