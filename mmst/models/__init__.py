"""Registered modules: ``type='mmst.Name'`` in a config."""

from .st_backbone import STBackbone

__all__ = ['STBackbone']
