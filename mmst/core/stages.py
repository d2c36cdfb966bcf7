"""Residual stages of a backbone, and the registry of known backbones.

A rule per backbone family maps a backbone to its stages. It is registered under a class or its
dotted name, so that no task library is imported here; subclasses inherit their parent's rule. Those
of known backbones are in :mod:`mmst.core.families`.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakSet

from torch import nn

from .placeholder import Removed
from .refusals import REFUSALS
from .state import dotted_name

__all__ = [
    'Block',
    'Family',
    'check_raw',
    'has_shortcut',
    'is_additive',
    'is_known',
    'known_backbones',
    'register_families',
    'register_residual_stages',
    'residual_stages',
]

SHORTCUT_FLAGS = frozenset(
    (
        'with_res_shortcut',  # OpenMMLab
        'use_res_connect',  # OpenMMLab's and torchvision's MobileNetV2, torchvision's EfficientNet
        'with_residual',  # edge residual blocks of OpenMMLab's EfficientNet
        'apply_residual',  # torchvision's MNASNet
        'has_skip',  # timm, mmpretrain's EfficientNetV2
        'add_identity',  # OpenMMLab's Darknets
    )
)
"""Names under which blocks say whether they have a shortcut."""


class Block(NamedTuple):
    """The place of one residual block: the child ``name`` of ``parent``.

    Of ``num_states`` arguments, the first ones, the block returns new values; several as a tuple.
    """

    parent: nn.Module
    name: str
    num_states: int = 1

    @property
    def module(self) -> nn.Module:
        """The block itself."""
        module: nn.Module = getattr(self.parent, self.name)
        return module


Stages = tuple[tuple[Block, ...], ...]
Adapter = Callable[[nn.Module], Iterable[Iterable[Block]]]


class Family(ABC):
    """Stages of a family of backbones.

    Attributes:
        note: What a stage is, in a sentence for the table of the docs.
    """

    note: str = ''

    @abstractmethod
    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """Returns the stages of a backbone in forward order, each with its blocks in that order."""

    @abstractmethod
    def is_additive(self, backbone: nn.Module) -> bool:
        """Tells whether blocks end with an addition, see :func:`register_residual_stages`."""


@dataclass(frozen=True)
class _Registered(Family):
    adapter: Adapter
    additive: bool

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        return self.adapter(backbone)

    def is_additive(self, backbone: nn.Module) -> bool:
        return self.additive


_families: dict[str, Family] = {}
_checked: WeakSet[nn.Module] = WeakSet()
"""Backbones whose blocks were checked: a subnet pass finds its stages, and checks no more."""


def register_residual_stages(
    *classes: type | str, additive: bool = False
) -> Callable[[Adapter], Adapter]:
    """Registers a function that finds the residual stages of a backbone class and its subclasses.

    The decorated function receives the backbone and returns its stages in forward order, each an
    iterable of :class:`Block` in forward order. Every block but the first of a stage must keep the
    shape of its input, and the backbone's forward must call the block as a child of ``parent``.

    Example:
        >>> @register_residual_stages(MyBackbone)
        ... def my_stages(backbone):
        ...     return [[Block(body, name) for name, _ in body.named_children()]
        ...             for body in backbone.bodies]

    Args:
        *classes: Backbone classes, or their dotted names, e.g. ``'package.module.MyBackbone'``.
        additive: Whether each block but the first of a stage returns its input plus something, with
            no activation after the addition. Raw sampling needs that.
    """

    def register(adapter: Adapter) -> Adapter:
        for cls in classes:
            name = cls if isinstance(cls, str) else dotted_name(cls)
            _families[name] = _Registered(adapter, additive)
        return adapter

    return register


def register_families(families: Mapping[str, Family]) -> None:
    """Registers families of backbone classes, by dotted name."""
    _families.update(families)


def known_backbones() -> dict[str, Family]:
    """Returns the registered families, by dotted class name."""
    return dict(_families)


def is_known(cls: type) -> bool:
    """Tells whether a backbone class or a parent of it is registered."""
    name = _registered_name(cls)
    return name is not None and name in _families


def is_additive(backbone: nn.Module) -> bool:
    """Tells whether residual branches of a backbone can run alone.

    Raises:
        TypeError: The class of the backbone is not registered.
    """
    return _family_of(backbone)[1].is_additive(backbone)


def check_raw(backbone: nn.Module) -> None:
    """Raises unless residual branches of a backbone can run alone.

    Raises:
        TypeError: The class of the backbone is not registered.
        ValueError: Its blocks end in an activation, or it was not registered as additive.
    """
    name, family = _family_of(backbone)
    if not family.is_additive(backbone):
        raise ValueError(
            "rule 'raw' needs blocks that end with the addition of their shortcut, so that the "
            f'residual branch can run alone; those of {name} do not (an activation follows), or '
            "are not registered with additive=True. Use 'ordered' or 'stochastic'"
        )


def residual_stages(backbone: nn.Module) -> Stages:
    """Finds the residual stages of a backbone.

    Args:
        backbone: A backbone of a registered class.

    Returns:
        The stages in forward order, each with its blocks in forward order. Blocks that
        :func:`~mmst.core.prune_to_subnet` removed are none.

    Raises:
        TypeError: The class of the backbone is not registered.
        ValueError: The backbone has no block, or one that cannot be skipped.
    """
    _, family = _family_of(backbone)
    stages = tuple(
        tuple(block for block in stage if not isinstance(block.module, Removed))
        for stage in family.stages(backbone)
    )
    if backbone not in _checked:
        _check_stages(backbone, stages)
        _checked.add(backbone)
    return stages


def has_shortcut(block: nn.Module) -> bool | None:
    """Returns whether an inverted residual block has a shortcut; None for any other module."""
    # Not getattr alone: torch takes a microsecond to find that a module has no such attribute.
    cls: type = type(block)
    names = _class_flags(cls).union(SHORTCUT_FLAGS.intersection(vars(block)))
    flags = [getattr(block, name, None) for name in names]
    if False in flags:
        return False
    return True if True in flags else None


@functools.cache
def _class_flags(cls: Any) -> frozenset[str]:
    """Names of the flags that a class may have a value of; any if it looks up attributes itself."""
    if cls.__getattr__ is not nn.Module.__getattr__:
        return SHORTCUT_FLAGS
    return frozenset(name for name in SHORTCUT_FLAGS if hasattr(cls, name))


def _registered_name(cls: type) -> str | None:
    """Nearest class among the parents that is registered or refused."""
    names = map(dotted_name, cls.__mro__)
    return next((name for name in names if name in _families or name in REFUSALS), None)


def _family_of(backbone: nn.Module) -> tuple[str, Family]:
    """Finds the registered class of a backbone, and its family."""
    cls, name = dotted_name(type(backbone)), _registered_name(type(backbone))
    if name in _families:
        return name, _families[name]
    if name is not None:
        raise TypeError(
            f'backbone must have blocks that can be skipped, got {cls}: {REFUSALS[name]}. '
            'An adapter that @mmst.core.register_residual_stages registers for it takes priority'
        )
    library = cls.partition('.')[0]
    known = [name for name in _families if name.startswith(f'{library}.')]
    raise TypeError(
        f'backbone must be of a class whose residual stages are known, got {cls}. '
        f'Known classes: {", ".join(sorted(known or _families))}. Add yours with '
        '@mmst.core.register_residual_stages(YourBackbone) on a function that returns its stages'
    )


def _check_stages(backbone: nn.Module, stages: Stages) -> None:
    name = type(backbone).__name__
    if not stages or not all(stages):
        raise ValueError(
            f'{name} must have at least one residual block in each stage, '
            f'got stages of {[len(stage) for stage in stages]} blocks'
        )
    # Of timm's EfficientNetFeatures and MobileNetV3Features, and of its FeatureHookNet.
    with_hooks = any(getattr(backbone, key, None) for key in ('feature_hooks', 'hooks'))
    for number, stage in enumerate(stages, start=1):
        for index, block in enumerate(stage[1:], start=1):
            cause = _shape_change(block.module)
            reason = f'has {cause}: it changes the shape of its input' if cause else ''
            if with_hooks and _has_hook_of_timm(block.module):
                reason = (
                    'timm takes features from it with a hook, which a skipped block does not call; '
                    "leave out feature_location and feature_cls='hook'"
                )
            if reason:
                raise ValueError(
                    f'block {index} of stage {number} of {name} must be skippable, but {reason}'
                )


def _shape_change(block: nn.Module) -> str | None:
    """Names the attribute by which a block changes the shape of its input, if any does.

    Blocks that say nothing about it are found out by :func:`~mmst.core.depth_cost`.
    """
    downsample = getattr(block, 'downsample', None)  # of CGNet's blocks it is a flag
    if downsample and not isinstance(downsample, nn.Identity):
        return 'a downsample branch'
    if has_shortcut(block) is False:
        return 'no shortcut'
    stride = getattr(block, 'stride', 1)
    if any(type(step) is int and step != 1 for step in _sequence(stride)):
        return f'stride {stride}'
    channels = [getattr(block, f'{side}_channels', None) for side in ('in', 'out')]
    if all(type(count) is int for count in channels) and channels[0] != channels[1]:
        return f'{channels[0]} input and {channels[1]} output channels'
    return None


def _has_hook_of_timm(block: nn.Module) -> bool:
    hooks = [
        hook
        for module in block.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    ]
    names = (getattr(getattr(hook, 'func', None), '__qualname__', '') for hook in hooks)
    return 'FeatureHooks._collect_output_hook' in names


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, (tuple, list)) else (value,)
