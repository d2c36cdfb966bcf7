"""Edits of mmengine configs for the command lines: functions ``Config -> Config``.

This package exports edits alone. What they look for in a config, and what the rooms above ask of
one, is in modules of its own: ``traversal`` (entries at any depth, their types), ``library``,
``trained_backbone`` and ``stimulative_hook``. ``file`` reads the config to be edited.
"""

from .checkpoint import set_checkpoint
from .data import set_data_root
from .image_folders import read_image_folders
from .library_defaults import apply_library_defaults
from .mini import apply_mini
from .options import (
    disable_validation,
    enable_amp,
    enable_auto_scale_lr,
    set_seed,
    set_work_dir,
)
from .resume import make_resumable, set_resume
from .schedule import set_max_iters
from .sizes import set_image_scale
from .stimulate import stimulate
from .subnet_eval import set_subnet_eval
from .testing import enable_tta, set_visualization
from .training import remove_surroundings
from .weights import set_weights

__all__ = [
    'apply_library_defaults',
    'apply_mini',
    'disable_validation',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_tta',
    'make_resumable',
    'read_image_folders',
    'remove_surroundings',
    'set_checkpoint',
    'set_data_root',
    'set_image_scale',
    'set_max_iters',
    'set_resume',
    'set_seed',
    'set_subnet_eval',
    'set_visualization',
    'set_weights',
    'set_work_dir',
    'stimulate',
]
