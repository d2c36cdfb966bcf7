"""Parts of a model: what is inside its wrappers, and the backbone in that."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmst.checkpoints.backbones import outermost_backbones
from mmst.core import DepthSpace

__all__ = ['find_backbone', 'find_stimulated_backbone', 'unwrapped']


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns a model without wrappers of distribution or test-time augmentation."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


def find_stimulated_backbone(model: nn.Module) -> nn.Module:
    """Finds the backbone that :func:`mmst.STBackbone` built: the module with a ``depth_space``.

    Of a student and its teacher the student is meant, the one with trained parameters. If none has
    any, it is the one beside trained parameters: subnets then train neck and heads.

    Raises:
        ValueError: There is none that is not a teacher's, or more than one.
    """
    found = _stimulated(model)
    if not found:
        raise ValueError(
            'model must have a backbone built by mmst.STBackbone, got none in '
            f"{type(model).__name__}. Set model.backbone.type='mmst.STBackbone' and "
            "model.backbone.wraps='ResNet' (the type it had before)"
        )
    students = {name: module for name, module in found.items() if _is_trained(module)} or {
        name: module
        for name, module in found.items()
        if _is_trained(model.get_submodule(name.rpartition('.')[0]))
    }
    if not students:
        raise ValueError(
            'model must have a backbone built by mmst.STBackbone in a part of it that is trained, '
            f'got only {", ".join(found)}, in a frozen teacher. Let mmst.STBackbone build the '
            'backbone of the student'
        )
    if len(students) > 1:
        raise ValueError(
            f'model must have one backbone built by mmst.STBackbone, got {len(students)}: '
            f'{", ".join(students)}. Give all but the one whose subnets are to be trained the type '
            'that they wrap'
        )
    return next(iter(students.values()))


def find_backbone(model: nn.Module) -> nn.Module:
    """Finds the backbone that a test runs: the stimulated one, or that of an upstream config.

    Unlike :func:`find_stimulated_backbone`, it does not choose between a student and its teacher:
    which of them a test runs is up to the model.

    Raises:
        ValueError: There is none, or there are several.
    """
    found = _stimulated(model) or outermost_backbones(model)
    if len(found) != 1:
        raise ValueError(
            f'a subnet needs a model with one backbone, got {type(model).__name__} with '
            f'{", ".join(found) or "none"}'
        )
    return next(iter(found.values()))


def _stimulated(model: nn.Module) -> dict[str, nn.Module]:
    """The backbones that :func:`mmst.STBackbone` built, by their names."""
    return {
        name: module
        for name, module in model.named_modules()
        # Wrappers (torch.compile, LoRA) hand the attribute on, but do not have it.
        if isinstance(vars(module).get('depth_space'), DepthSpace)
    }


def _is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
