"""Stimulative training for OpenMMLab.

Importing registers everything under the scope ``mmst``, allows current torch to read mmengine's
checkpoints, and mmengine to convert those named ``mmst://FILE``; no task library is imported.
``mmst.UniformAugment`` imports mmpretrain when it is used. Without mmengine there is
:mod:`mmst.core` only, which needs torch alone.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING or find_spec('mmengine'):
    from .checkpoints import register_safe_globals, register_scheme
    from .engine import (
        GroundTruthSupervision,
        LogitSupervision,
        RandomSmallerInput,
        RandomStateHook,
        StimulativeHook,
    )
    from .ground_truth import register_ground_truth
    from .models import KLDivLoss, KLMinusLoss, LogitNormCrossEntropyLoss, STBackbone

    register_safe_globals()
    register_scheme()

if TYPE_CHECKING:
    from mmst.transforms.uniform_augment import UniformAugment as UniformAugment

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


def __getattr__(name: str) -> Any:
    # Not in __all__: a star import would need mmpretrain.
    if name == 'UniformAugment':
        from mmst.transforms.uniform_augment import UniformAugment

        return UniformAugment
    if name in __all__:
        raise ModuleNotFoundError(
            f'mmst.{name} needs mmengine, which is not installed: pip install mmengine',
            name='mmengine',
        )
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
