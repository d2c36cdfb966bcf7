"""Backbones of a model, by the name that OpenMMLab gives them."""

from __future__ import annotations

from torch import nn

__all__ = ['outermost_backbones']


def outermost_backbones(model: nn.Module) -> dict[str, nn.Module]:
    """Returns the modules called ``backbone`` that lie in no other of that name, by their paths.

    A student and its teacher have one each; a backbone that wraps another has one inside.
    """
    found = {}
    for path, module in model.named_modules():
        *parents, name = path.split('.')
        if name == 'backbone' and 'backbone' not in parents:
            found[path] = module
    return found
