"""Edits of mmengine configs for the command lines: functions ``Config -> Config``."""

from .checkpoint import set_checkpoint
from .data import check_data_files, set_data_root
from .image_folders import read_image_folders
from .library import LIBRARIES, Library, apply_library_defaults, library_of
from .mini import MINI_SETTINGS, MiniSettings, apply_mini, layout_of
from .named_weights import NAMED_WEIGHTS, NamedWeights
from .options import (
    disable_validation,
    enable_amp,
    enable_auto_scale_lr,
    has_accelerator,
    load_config,
    set_seed,
    set_work_dir,
)
from .resume import make_resumable, set_resume
from .schedule import set_max_iters
from .sizes import set_image_scale
from .stimulate import stimulate
from .subnet_eval import set_subnet_eval
from .testing import enable_tta, set_visualization
from .training import (
    check_training,
    find_stimulative_hook,
    is_stimulative,
    remove_pretrained,
    remove_surroundings,
    stimulative_hook,
)
from .weights import set_weights

__all__ = [
    'LIBRARIES',
    'MINI_SETTINGS',
    'NAMED_WEIGHTS',
    'Library',
    'MiniSettings',
    'NamedWeights',
    'apply_library_defaults',
    'apply_mini',
    'check_data_files',
    'check_training',
    'disable_validation',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_tta',
    'find_stimulative_hook',
    'has_accelerator',
    'is_stimulative',
    'layout_of',
    'library_of',
    'load_config',
    'make_resumable',
    'remove_pretrained',
    'remove_surroundings',
    'read_image_folders',
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
    'stimulative_hook',
    'stimulate',
]
