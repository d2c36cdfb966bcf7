"""Edits of mmengine configs: what the command lines offer, as functions ``Config -> Config``."""

from .bare import (
    check_training,
    find_stimulative_hook,
    is_stimulative,
    remove_pretrained,
    remove_surroundings,
)
from .checkpoint import set_checkpoint
from .data import check_data_files, set_data_root
from .image_folders import read_image_folders
from .launch import build_runner, set_launcher
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
from .pretrained import check_pretrained
from .resume import check_checkpoint, make_resumable, set_resume
from .schedule import set_max_iters
from .sizes import set_image_scale
from .subnet_config import make_subnet_config, use_validation_data
from .subnet_eval import (
    check_recalibrate,
    default_recalibrate,
    find_backbone,
    inner_model,
    parse_depths,
    prepare_subnet_test,
    recalibrated_subnet,
    run_subnet_test,
)
from .testing import OutputFiles, enable_tta, set_output, set_visualization
from .weights import set_weights

__all__ = [
    'LIBRARIES',
    'MINI_SETTINGS',
    'NAMED_WEIGHTS',
    'Library',
    'MiniSettings',
    'NamedWeights',
    'OutputFiles',
    'apply_library_defaults',
    'apply_mini',
    'build_runner',
    'check_checkpoint',
    'check_data_files',
    'check_pretrained',
    'check_recalibrate',
    'check_training',
    'default_recalibrate',
    'disable_validation',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_tta',
    'find_backbone',
    'find_stimulative_hook',
    'has_accelerator',
    'inner_model',
    'is_stimulative',
    'layout_of',
    'library_of',
    'load_config',
    'make_resumable',
    'make_subnet_config',
    'parse_depths',
    'prepare_subnet_test',
    'recalibrated_subnet',
    'remove_pretrained',
    'remove_surroundings',
    'run_subnet_test',
    'read_image_folders',
    'set_checkpoint',
    'set_data_root',
    'set_image_scale',
    'set_launcher',
    'set_max_iters',
    'set_output',
    'set_resume',
    'set_seed',
    'set_visualization',
    'set_weights',
    'set_work_dir',
    'use_validation_data',
]
