"""A config entry that gives an upstream backbone its space of subnets."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmst.core import DepthSpace, prune_to_subnet, residual_stages
from mmst.core.stages import check_raw
from mmst.engine.registry import MODELS

__all__ = ['PAD_SMALL_MAP', 'STBackbone', 'argument_names']

PAD_SMALL_MAP = 'pad_small_map'
"""Argument of mmpretrain's Swins, without which they take no map smaller than a window."""


@MODELS.register_module()
def STBackbone(
    wraps: str | type[nn.Module],
    choices: Sequence[int] | str | None = None,
    rule: str = 'ordered',
    depths: Sequence[int] | None = None,
    **arguments: Any,
) -> nn.Module:
    """Builds an upstream backbone and attaches the space of its subnets to it.

    The result is the upstream object itself: same class, same keys, same behaviour. It has one more
    attribute, ``depth_space``, which :class:`mmst.StimulativeHook` looks for.

    Args:
        wraps: The backbone class (as mmengine's new-style configs name it), or its registered name,
            looked up in the current scope: ``'ResNet'`` is mmdet's in a config of mmdet.
            ``'mmpretrain.ResNet'`` works everywhere.
        choices: Number of possible depths per stage, or a name, see :class:`mmst.core.DepthSpace`.
            Defaults to all. ``'inter_stage'`` keeps at least the first three blocks of each stage,
            for ResNet-50 ``(1, 2, 4, 1)``, the paper's best (ST++ Table II).
        rule: ``'ordered'``, ``'stochastic'`` or ``'raw'``, see :class:`mmst.core.DepthSpace`.
        depths: Number of blocks per stage of a network that is shallower for good: the last blocks
            of each stage are removed. Defaults to the full network. Where the wrapped class has an
            argument of that name (Swin of mmdet, mmseg and mmpose), it gets it and builds that
            network itself.
        **arguments: Arguments of the wrapped class.

    Returns:
        A backbone of the wrapped class.

    Raises:
        KeyError: No class of that name is registered.
        TypeError: ``wraps`` is neither a class nor a name, the class does not take an argument, or
            mmst does not know its stages.
        ValueError: ``choices`` or ``depths`` does not fit the stages, or ``rule`` the blocks.
    """
    cls = _wrapped_class(wraps)
    known = argument_names(cls)
    _check_arguments(cls, known, arguments)
    if depths is not None and 'depths' in known:
        arguments, depths = dict(arguments, depths=depths), None
    backbone = ROOT_MODELS.build(dict(arguments, type=cls))
    if depths is not None:
        prune_to_subnet(backbone, depths)
    full = [len(stage) for stage in residual_stages(backbone)]
    backbone.depth_space = DepthSpace(full, choices, rule)
    if rule == 'raw':
        check_raw(backbone)
    return backbone


def _wrapped_class(wraps: str | type[nn.Module]) -> type:
    if inspect.isclass(wraps):
        return wraps
    if not isinstance(wraps, str):
        raise TypeError(
            f"wraps must be a backbone class or the name of one, got {wraps!r}; give e.g. 'ResNet'"
        )
    with ROOT_MODELS.switch_scope_and_registry(None) as registry:
        try:
            cls = registry.get(wraps)
        except RuntimeError:  # it looks like the path of a class but is none
            cls = None
    if not inspect.isclass(cls):
        raise KeyError(
            f'wraps must name a registered backbone class, got {wraps!r}, which is not in the '
            f'scope {registry.scope!r}; set default_scope, or name the library before a dot '
            "('mmpretrain.ResNet'), which must be installed"
        )
    return cls


def argument_names(cls: type) -> set[str]:
    """Names of the arguments of a class and its parents."""
    signatures = [
        inspect.signature(vars(c)['__init__']) for c in cls.__mro__ if '__init__' in vars(c)
    ]
    return {name for signature in signatures for name in signature.parameters} - {'self'}


def _passes_any_on(cls: type) -> bool:
    """Tells whether a class passes any argument on to something that refuses unknown ones.

    ``**kwargs`` of a class are its parents' arguments, unless these have none of their own: those
    of ``TIMMBackbone`` go to ``timm.create_model``.
    """
    names: set[str] = set()
    for parent in reversed(cls.__mro__):
        if '__init__' not in vars(parent) or issubclass(nn.Module, parent):
            continue
        parameters = inspect.signature(vars(parent)['__init__']).parameters.values()
        if names <= {'init_cfg'} and any(p.kind is p.VAR_KEYWORD for p in parameters):
            return True
        names |= {parameter.name for parameter in parameters} - {'self'}
    return False


def _check_arguments(cls: type, known: set[str], arguments: dict[str, Any]) -> None:
    """Distinguishes a misspelt argument of STBackbone from one of the wrapped class."""
    if _passes_any_on(cls):
        return
    for name in arguments:
        if name not in known:
            own = set(inspect.signature(STBackbone).parameters) - {'arguments'}
            close = difflib.get_close_matches(name, known | own, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'it takes {sorted(known | own)}'
            raise TypeError(
                f'STBackbone(wraps={cls.__name__!r}) got an unknown argument {name!r}; {hint}'
            )
