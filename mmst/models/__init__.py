"""Registered modules: ``type='mmst.Name'`` in a config."""

from .losses import KLDivLoss, KLMinusLoss, LogitNormCrossEntropyLoss
from .st_backbone import STBackbone

__all__ = ['KLDivLoss', 'KLMinusLoss', 'LogitNormCrossEntropyLoss', 'STBackbone']
