"""Detection of unregistered state that a forward changes."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Container
from typing import Any, NamedTuple

from torch import Tensor, nn

from .state import dotted_name, registered_state

__all__ = ['StateRecord', 'record_state', 'record_value']

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_NESTED = 8
"""More objects than data samples have inside each other."""
_TORCH = frozenset(vars(nn.Module()))
"""Attributes that every module has: parameters, buffers, hooks, mode."""


class StateRecord(NamedTuple):
    """Result of :func:`record_state`: values that are equal if nothing has changed.

    Args:
        attributes: By class and name of an attribute, the values in all modules of that class.
        parameters: By the name of a parameter.
    """

    attributes: dict[tuple[str, str], Any]
    parameters: dict[str, Any]

    def changed_attributes(self, later: StateRecord) -> list[tuple[str, str]]:
        """Class and name of each attribute that differs in a later record, or is in one alone."""
        keys = dict.fromkeys((*self.attributes, *later.attributes))
        return [key for key in keys if self.attributes.get(key) != later.attributes.get(key)]

    def changed_parameters(self, later: StateRecord) -> list[str]:
        """Name of each parameter that differs in a later record."""
        return [
            name for name, value in later.parameters.items() if self.parameters.get(name) != value
        ]


def record_state(model: nn.Module) -> StateRecord:
    """Records the state that :func:`~mmst.core.isolated_state` does not restore, to compare it.

    Plain attributes are recorded, also of objects that a module holds, and parameters. Values of a
    graph (tensors with a gradient function) count as equal. Each tensor is read once, so this is
    meant for one iteration of a run.

    Args:
        model: The whole model.
    """
    seen: set[int] = set()
    attributes: dict[tuple[str, str], Any] = {}
    for module_name, module in model.named_modules():
        registered = registered_state(type(module))
        for name, value in vars(module).items():
            if name in _TORCH or name in registered or id(value) in seen:
                continue
            if isinstance(value, (dict, list, set, deque)):
                seen.add(id(value))
            parts = {path.removeprefix(f'{name}.') for path in registered if path != name}
            if (digest := _digest(value, parts)) is not None:
                values = attributes.setdefault((dotted_name(type(module)), name), {})
                values[module_name] = digest
    parameters = {name: _moments(value) for name, value in model.named_parameters()}
    return StateRecord(attributes, parameters)


def record_value(value: Any) -> Any:
    """Records a value for a comparison: an object or dict as a dict by name, a sequence as a list.

    All that it holds is read, so this too is meant for one iteration of a run.
    """
    return _digest(value, (), _NESTED)


def _digest(value: Any, without: Container[str] = (), depth: int = 2) -> Any:
    """Reduces a value to a comparable form, or to None.

    Args:
        value: The value.
        without: Names of its attributes that are left out.
        depth: How many objects inside each other are looked into.
    """
    if isinstance(value, _PLAIN):
        return repr(value)  # nan equals itself
    if isinstance(value, Tensor):
        return None if value.grad_fn is not None or value.is_meta else _bytes(value)
    if isinstance(value, dict):
        return {repr(key): _digest(child, (), depth) for key, child in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_digest(child, (), depth) for child in value]
    if hasattr(value, 'tobytes'):
        return value.tobytes()
    if isinstance(value, (nn.Module, type)) or not hasattr(value, '__dict__') or depth == 0:
        return None
    own = {name: child for name, child in vars(value).items() if name not in without}
    return {name: _digest(child, (), depth - 1) for name, child in own.items()}


def _bytes(value: Tensor) -> tuple[tuple[int, ...], bytes]:
    flat = value.detach().cpu().contiguous().reshape(-1)
    # Without numpy, which torch does not require.
    return tuple(value.shape), ctypes.string_at(flat.data_ptr(), flat.nbytes)


def _moments(parameter: Tensor) -> Any:
    """Sum and norm, which an update changes; all bytes of a large model would be too many."""
    if parameter.is_meta:
        return None
    numbers = parameter.detach().double()
    return tuple(numbers.shape), repr(numbers.sum().item()), repr(numbers.norm().item())
