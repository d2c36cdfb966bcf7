"""Global state that a test may change, put back after it: the order of tests is of no matter."""

import contextlib
import functools
import multiprocessing
import os
import random
import sys
import sysconfig
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import torch

from mmst.core import stages, state

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    ROOT / 'mmst',
    ROOT / 'tools',
    *(Path(sysconfig.get_path(name)) for name in ('stdlib', 'purelib')),
}

SETTINGS = (
    (os.getcwd, os.chdir),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (
        functools.partial(multiprocessing.get_start_method, allow_none=True),
        functools.partial(multiprocessing.set_start_method, force=True),
    ),
)


@contextlib.contextmanager
def isolated_globals() -> Iterator[None]:
    """Starts from seeded generators; on exit, what is registered or set is what was on entry."""
    _seed()
    with contextlib.ExitStack() as stack:
        for mapping in (os.environ, stages._families, state._attributes):
            stack.callback(_restore, mapping, dict(mapping))
        stack.callback(state._found.clear)
        for read, write in SETTINGS:
            stack.callback(_reset, read, write, read())
        if 'mmst.ground_truth' in sys.modules:
            stack.enter_context(_registered())
            stack.enter_context(_managed())
        yield
        if 'matplotlib.pyplot' in sys.modules:
            sys.modules['matplotlib.pyplot'].close('all')


def _seed() -> None:
    random.seed(0)
    torch.manual_seed(0)
    if 'numpy' in sys.modules:
        sys.modules['numpy'].random.seed(0)


def _reset(read: Callable[[], Any], write: Callable[[Any], Any], before: Any) -> None:
    if read() != before:
        write(before)


def _restore(mapping: MutableMapping[Any, Any], before: dict[Any, Any]) -> None:
    """Gives a mapping its entries of before, and touches it only where it differs."""
    for key in [key for key in mapping if key not in before]:
        del mapping[key]
    for key, value in before.items():
        if key not in mapping or mapping[key] is not value:
            mapping[key] = value


@contextlib.contextmanager
def _registered() -> Iterator[None]:
    """Registries of mmst and mmengine: what libraries add stays, for they are imported once."""
    from mmst.ground_truth import fields

    before = [(registry, dict(registry)) for registry in _registries()]
    yield
    known = {id(registry) for registry, _ in before}
    before += [(registry, {}) for registry in _registries() if id(registry) not in known]
    for registry, entries in before:
        imported = {name: value for name, value in registry.items() if _of_a_library(value)}
        _restore(registry, {**imported, **entries})
    fields.find_field.cache_clear()


def _registries() -> Iterator[dict[Any, Any]]:
    from mmengine.registry import Registry, root

    from mmst.ground_truth import fields, task

    yield from (fields._fields, task._tasks)
    if 'mmst.ground_truth.pose_heatmaps' in sys.modules:
        yield sys.modules['mmst.ground_truth.pose_heatmaps']._encoders
    families = [value for value in vars(root).values() if isinstance(value, Registry)]
    while families:
        registry = families.pop()
        yield registry._module_dict
        families += registry._children.values()


def _of_a_library(value: object) -> bool:
    """Tells whether a library defines a class or function, or the class of an object."""
    file = getattr(sys.modules.get(getattr(value, '__module__', '')), '__file__', None)
    return file is not None and not LIBRARIES.isdisjoint(Path(file).parents)


@contextlib.contextmanager
def _managed() -> Iterator[None]:
    """Loggers, message hubs, visualizers and default scopes, which mmengine keeps for ever."""
    from mmengine.utils import ManagerMixin

    before = {cls: dict(cls._instance_dict) for cls in _subclasses(ManagerMixin)}
    yield
    for cls in _subclasses(ManagerMixin):
        kept = before.get(cls, {})
        for name, instance in cls._instance_dict.items():
            if name not in kept:
                for handler in getattr(instance, 'handlers', ()):
                    handler.close()
        _restore(cls._instance_dict, kept)


def _subclasses(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
