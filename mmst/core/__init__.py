"""Stimulative training in plain PyTorch: needs torch and the standard library only."""

from . import families  # noqa: F401 (registers the known backbones)
from .cost import DepthCost, depth_cost
from .draw import Draw
from .losses import kl_div_loss, kl_minus_loss, normalize_logits
from .norm import isolated_norm, recalibrate_norm
from .resize import resize_batch, resize_padded_batch, sample_size, scale_size
from .schedule import weight_factor
from .skip import active_subnet, prune_to_subnet
from .space import DepthSpace, Subnet
from .stages import Block, register_residual_stages, residual_stages
from .state import isolated_state, register_state
from .step import StepLosses, backward_with_subnets
from .subset import sample_images

__all__ = [
    'Block',
    'DepthCost',
    'DepthSpace',
    'Draw',
    'StepLosses',
    'Subnet',
    'active_subnet',
    'backward_with_subnets',
    'depth_cost',
    'isolated_norm',
    'isolated_state',
    'kl_div_loss',
    'kl_minus_loss',
    'normalize_logits',
    'prune_to_subnet',
    'recalibrate_norm',
    'register_residual_stages',
    'register_state',
    'residual_stages',
    'resize_batch',
    'resize_padded_batch',
    'sample_images',
    'sample_size',
    'scale_size',
    'weight_factor',
]
