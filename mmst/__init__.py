"""Stimulative training for OpenMMLab.

Importing registers everything under the scope ``mmst``, allows current torch to read mmengine's
checkpoints, and mmengine to convert those named ``mmst://FILE``; no task library is imported.
``mmst.UniformAugment`` and ``mmst.PCALighting`` import mmpretrain when they are used. Without
mmengine there is :mod:`mmst.core` only, which needs torch alone.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING or find_spec('mmengine'):
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
    from .subnets.eval_hook import SubnetEvalHook

    register_safe_globals()
    register_scheme()

if TYPE_CHECKING:
    from .transforms.lighting import PCALighting as PCALighting
    from .transforms.uniform_augment import UniformAugment as UniformAugment

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
    'SubnetEvalHook',
    '__version__',
    'register_ground_truth',
    'stimulate',
]

_IMPORTED_ON_USE = {
    'PCALighting': 'mmst.transforms.lighting',
    'UniformAugment': 'mmst.transforms.uniform_augment',
}
"""Modules of the names that need mmpretrain. These are not in ``__all__``, for star imports."""


def __getattr__(name: str) -> Any:
    if name in _IMPORTED_ON_USE:
        return getattr(import_module(_IMPORTED_ON_USE[name]), name)
    if name in __all__:
        raise ModuleNotFoundError(
            f'mmst.{name} needs mmengine, which is not installed: pip install mmengine',
            name='mmengine',
        )
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
