"""Comparison of a model with the tensors of a file, and its report."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn

__all__ = [
    'STATISTICS',
    'TensorFit',
    'compare_tensors',
    'try_loading',
    'unexpected_names',
    'warn_of_random_tensors',
]

STATISTICS = ('running_mean', 'running_var')
"""Buffers of norm layers that training computes, by the ends of their names."""

MOST_SHOWN = 10
"""Names of tensors in a message."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorFit:
    """The tensors that a model gets from a file.

    Attributes:
        needed: Shapes of the model's tensors by name.
        unfilled: Those that it does not get: name -> shape in the file, None if it is not there.
        unexpected: Names of weights in the file that the model has no place for.
    """

    needed: Mapping[str, Shape]
    unfilled: Mapping[str, Shape | None]
    unexpected: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Names of tensors that the file does not have."""
        return [name for name, shape in self.unfilled.items() if shape is None]

    @property
    def reshaped(self) -> list[str]:
        """Names of tensors that the file has in another shape."""
        return [name for name, shape in self.unfilled.items() if shape is not None]

    def share(self, names: Iterable[str]) -> float:
        """Numbers in some of the model's tensors, as a share of all that it needs."""
        total = sum(map(math.prod, self.needed.values()))
        return sum(math.prod(self.needed[name]) for name in names) / total

    def described(self, name: str) -> str:
        """Describes an unfilled tensor: the shape in the file and the shape in the model."""
        found = self.unfilled[name]
        return f'{name} is {"missing" if found is None else found}, needed {self.needed[name]}'


def compare_tensors(needed: Mapping[str, Shape], state_dict: Mapping[str, Tensor]) -> TensorFit:
    """Compares names and shapes as they are, where there is no model to load them into.

    Args:
        needed: Shapes by name.
        state_dict: Tensors of a file.
    """
    found = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    return TensorFit(
        needed,
        {name: found.get(name) for name, shape in needed.items() if found.get(name) != shape},
        tuple(name for name in state_dict if name not in needed),
    )


def try_loading(model: nn.Module, checkpoint: Mapping[str, Any]) -> TensorFit:
    """Loads a checkpoint as mmengine does, to see what the model gets.

    Layers and models rename and resize what they load, so this is tried and not compared. A model
    on the ``meta`` device would not show it: values copied to it leave no trace.

    Args:
        model: The model. Its parameters and norm statistics, which are what is needed, become those
            of the file, and NaN where the file has none.
        checkpoint: What mmengine would load.
    """
    needed = {name: tensor for name, tensor in _tensors(model) if tensor.is_floating_point()}
    for tensor in needed.values():
        tensor.data.fill_(torch.nan)
    state_dict = checkpoint.get('state_dict', checkpoint)
    loaded = OrderedDict((name.removeprefix('module.'), v) for name, v in state_dict.items())
    # Torch's attribute that tells layers the version of a state dict.
    loaded._metadata = getattr(state_dict, '_metadata', {})  # type: ignore[attr-defined]
    with unexpected_names(model) as unexpected:
        load_state_dict(model, loaded, strict=False, logger='silent')
    shapes = {name: tuple(tensor.shape) for name, tensor in needed.items()}
    found = {name: tuple(v.shape) for name, v in loaded.items() if isinstance(v, Tensor)}
    empty = [n for n, tensor in needed.items() if tensor.numel() and tensor.isnan().all()]
    return TensorFit(
        shapes,
        # A tensor of the right shape was loaded: the file itself holds NaN.
        {name: found.get(name) for name in empty if found.get(name) != shapes[name]},
        tuple(name for name in unexpected if name not in loaded or _is_weight(loaded[name])),
    )


@contextmanager
def unexpected_names(module: nn.Module) -> Iterator[dict[str, None]]:
    """Collects the names in loaded files that have no place in the module, in order.

    Modules rename what they load, so the names are those after that. They begin where the load
    does: at the module, or at a module that has it.
    """
    names: dict[str, None] = {}
    hook = module.register_load_state_dict_post_hook(
        lambda _, incompatible: names.update(dict.fromkeys(incompatible.unexpected_keys))
    )
    try:
        yield names
    finally:
        hook.remove()


def warn_of_random_tensors(source: str, names: Sequence[str], total: int, owner: str) -> None:
    """Logs a warning about tensors that start at random, if there are any.

    Args:
        source: What names the file, and the file.
        names: Names of the tensors.
        total: Number of tensors of the owner.
        owner: Whose tensors they are.
    """
    if names:
        shown = ', '.join(names[:MOST_SHOWN]) + (', ...' if len(names) > MOST_SHOWN else '')
        print_log(
            f'{source} leaves {len(names)} of {total} tensors of the {owner} random, which it '
            f'lacks or has in other shapes: {shown}',
            logger='current',
            level=logging.WARNING,
        )


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    for name, buffer in model.named_buffers():
        if name.endswith(STATISTICS):
            yield name, buffer


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
