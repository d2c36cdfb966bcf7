"""Placeholders for skipped and removed residual blocks."""

from __future__ import annotations

from torch import nn

__all__ = ['Removed', 'Skip']


class Skip(nn.Module):
    """Replaces a skipped block: returns the states that the block would change.

    It copies the integer attributes of the block, because a backbone may read them: VAN reads the
    width of the last block of a stage.

    Args:
        block: The block.
        num_states: Number of arguments, the first ones, that the block returns changed.
    """

    def __init__(self, block: nn.Module, num_states: int = 1) -> None:
        super().__init__()
        numbers = {name: value for name, value in vars(block).items() if type(value) is int}
        vars(self).update(numbers)
        self.num_states = num_states

    def forward(self, *states: object, **kwargs: object) -> object:
        """Returns its first argument; several as a tuple."""
        return states[0] if self.num_states == 1 else states[: self.num_states]


class Removed(Skip):
    """Replaces a permanently removed block, which is no longer part of the network."""
