"""State of a model besides its parameters, which a subnet pass must not change.

A forward in training mode may change buffers (statistics of norm layers, power iterations of
spectral norm, counters of losses) and plain attributes of modules (thresholds, histories). They
belong to the main network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import nn

from .copies import Place, preserved
from .norm import isolated_layers, norm_statistics
from .stateful import STATEFUL_ATTRIBUTES

__all__ = ['isolated_state', 'register_state', 'registered_state']

_attributes: dict[str, tuple[str, ...]] = dict(STATEFUL_ATTRIBUTES)
_found: dict[type, tuple[str, ...]] = {}
"""Attributes registered for a class and its parents, looked up once."""


def register_state(module_class: type[nn.Module] | str, *attributes: str) -> None:
    """Registers plain attributes that a module changes in a forward in training mode.

    They are added to those that are registered for the class. Buffers need no registration.

    Example:
        >>> register_state(MyLoss, 'num_updates', 'history')

    Args:
        module_class: Class of the module, or its dotted name, e.g. ``'package.module.MyLoss'``; its
            subclasses inherit the attributes.
        *attributes: Their names: numbers, tensors, or containers of them; or with dots those of an
            object that the module holds, e.g. ``'assigner.threshold'``.

    Raises:
        ValueError: No attribute is given.
    """
    if not attributes:
        raise ValueError(
            f'attributes must name what {module_class} changes in a forward, got none; give at '
            "least one name, e.g. register_state(MyLoss, 'num_updates')"
        )
    name = module_class if isinstance(module_class, str) else dotted_name(module_class)
    _attributes[name] = tuple(dict.fromkeys((*_attributes.get(name, ()), *attributes)))
    _found.clear()


def registered_state(module_class: type) -> tuple[str, ...]:
    """Returns the attributes registered for a class and its parents."""
    if module_class not in _found:
        names = (_attributes.get(dotted_name(cls), ()) for cls in module_class.__mro__)
        _found[module_class] = tuple(dict.fromkeys(name for own in names for name in own))
    return _found[module_class]


@contextmanager
def isolated_state(model: nn.Module, *, norm: bool = True) -> Iterator[None]:
    """Restores all state of a model except gradients after a forward and backward.

    On exit, also by an exception, buffers and registered attributes are as before: the same
    objects with the same values. Buffers that were registered within the context are gone.

    Args:
        model: The whole model, in training mode: losses, necks and heads have state too.
        norm: Whether this holds for the running statistics of norm layers, too.
    """
    modules = _all_modules(model)
    buffers = [module._buffers for module in modules]
    names = list(map(tuple, buffers))
    with preserved(_places(modules)), isolated_layers(modules) if norm else nullcontext():
        try:
            yield
        finally:
            if list(map(tuple, buffers)) != names:
                for module, own in zip(modules, names, strict=True):
                    _reset_buffers(module, own)


def dotted_name(cls: type) -> str:
    """Module and qualified name of a class."""
    return f'{cls.__module__}.{cls.__qualname__}'


def _all_modules(model: nn.Module) -> list[nn.Module]:
    """Returns what ``model.modules()`` yields, which takes five times as long for it."""
    modules, seen = [model], {model}
    for module in modules:  # the list grows meanwhile
        for child in module._modules.values():
            if child is not None and child not in seen:
                seen.add(child)
                modules.append(child)
    return modules


def _reset_buffers(module: nn.Module, names: tuple[str, ...]) -> None:
    """Gives a module buffers of these names, in this order; new ones have no value yet."""
    for name in set(module._buffers).difference(names):
        delattr(module, name)
    for name in names:
        if name not in module._buffers:
            module.register_buffer(name, None)
        module._buffers[name] = module._buffers.pop(name)


def _places(modules: list[nn.Module]) -> Iterator[Place]:
    """Buffers of modules, but not those of norm statistics, and their registered attributes."""
    registered = {cls: registered_state(cls) for cls in set(map(type, modules))}
    for module in modules:
        if module._buffers:
            statistics = norm_statistics(module)
            for name in module._buffers:
                if name not in statistics:
                    yield module, name
        for path in registered[type(module)]:
            yield from _resolve(module, path)


def _resolve(owner: Any, path: str) -> Iterator[Place]:
    """Resolves a dotted path; a list on the way gives one result for each of its objects."""
    name, _, rest = path.partition('.')
    if not rest:
        yield owner, name
        return
    value = getattr(owner, name, None)
    for part in value if isinstance(value, (list, tuple, nn.ModuleList)) else [value]:
        if part is not None:
            yield from _resolve(part, rest)
