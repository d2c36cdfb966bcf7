"""Placeholders for skipped and removed residual blocks."""

from __future__ import annotations

from torch import nn

__all__ = ['Removed', 'Skip']


class Skip(nn.Module):
    """Replaces a skipped block: returns its first argument."""

    def forward(self, x: object, *args: object, **kwargs: object) -> object:
        """Returns its first argument."""
        return x


class Removed(Skip):
    """Replaces a permanently removed block, which is no longer part of the network."""
