"""Copies of what modules hold, and its restoration."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

__all__ = ['Place', 'preserved']

Place = tuple[Any, str]
"""An object, most often a module, and the name of one of its attributes."""

_CONTAINERS = (dict, list, set, deque)
_MISSING = object()


@contextmanager
def preserved(places: Iterable[Place]) -> Iterator[None]:
    """Restores attributes on exit, also after an exception.

    Within the context, tensors are copies. So nothing touches the original ones, and a graph that
    was recorded before and still needs them stays valid. Containers (dict, list, set, deque) are
    the same objects, hold copies of their tensors, and get their contents back, at every depth.

    Args:
        places: Objects and the names of their attributes. An attribute that does not exist on entry
            does not exist on exit.
    """
    originals: list[tuple[Any, str, Any]] = []
    contents: list[tuple[Any, Any]] = []
    copies: dict[int, Tensor] = {}  # tensors that are shared stay shared
    try:
        for owner, name in places:
            value = getattr(owner, name, _MISSING)
            originals.append((owner, name, value))
            if isinstance(value, Tensor):
                setattr(owner, name, _copied(value, copies))
            contents += _contents(value)
        for container, content in contents:
            _fill(container, content, copies)
        yield
    finally:
        for container, content in contents:
            _fill(container, content)
        for owner, name, value in originals:
            if value is not _MISSING:
                setattr(owner, name, value)
            elif hasattr(owner, name):
                delattr(owner, name)


def _copied(value: Any, copies: dict[int, Tensor]) -> Any:
    """Returns a copy of a tensor, always the same one; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    if id(value) not in copies:
        copies[id(value)] = value.detach().clone()
    return copies[id(value)]


def _fill(container: Any, content: Any, copies: dict[int, Tensor] | None = None) -> None:
    """Gives a container some contents, or copies of the tensors in it."""
    container.clear()
    if isinstance(container, dict):
        pairs = content.items()
        container.update({k: v if copies is None else _copied(v, copies) for k, v in pairs})
        return
    values = content if copies is None else [_copied(value, copies) for value in content]
    (container.update if isinstance(container, set) else container.extend)(values)


def _contents(value: Any) -> list[tuple[Any, Any]]:
    """Pairs of a container and a copy of its contents: of the value and all containers in it."""
    if not isinstance(value, _CONTAINERS):
        return []
    children = value.values() if isinstance(value, dict) else value
    nested = (pair for child in children for pair in _contents(child))
    return [(value, copy.copy(value)), *nested]
