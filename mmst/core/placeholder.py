"""Placeholders for skipped and removed residual blocks."""

from __future__ import annotations

from torch import nn

__all__ = ['Removed', 'Skip']


class Skip(nn.Module):
    """Stands in for a skipped block: returns its first argument."""

    def forward(self, x: object, *args: object, **kwargs: object) -> object:
        """Returns its first argument."""
        return x


class Removed(Skip):
    """Stands in for a block that was removed for good, which is a block of the network no more."""
