"""Difference in blocks between a file and the backbone that loads it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Set

from torch import nn

from mmst.core import residual_stages
from mmst.core.placeholder import Removed

__all__ = ['block_difference']

_LISTS = (nn.Sequential, nn.ModuleList)


def block_difference(
    backbone: nn.Module, needed: Set[str], unfilled: Set[str], unexpected: Iterable[str]
) -> str:
    """Describes the places where a file has fewer or more blocks than a backbone.

    A block is missing if the file fills nothing of it. Blocks that ``depths`` left out of the
    backbone may be in the file: a subnet can start from the whole network. So may whole stages.

    Args:
        backbone: Its residual blocks are compared; those of an unknown class are taken to be the
            entries of its innermost lists of modules of one class.
        needed: Names of tensors that the file should fill.
        unfilled: Names of those that it does not fill.
        unexpected: Names in the file that the backbone has no place for.

    Returns:
        A clause about the file, empty if there is no difference.
    """
    blocks, modules = _block_paths(backbone), dict(backbone.named_modules())
    places = {_place(path) for path in blocks}
    missing = {path for path in blocks if _is_unfilled(path, needed, unfilled)}
    further = {path for name in unexpected for path in _parents(name) if _place(path) in places}
    excess = {path for path in further if path not in modules}
    left_out = {path for path in further if isinstance(modules.get(path), Removed)}
    wanted, lost, more = (Counter(map(_place, paths)) for paths in (blocks, missing, excess))
    uneven = [place for place in wanted if lost[place] or more[place]]
    if not uneven:
        return ''
    more.update(map(_place, left_out))
    found = _listed(wanted[place] - lost[place] + more[place] for place in uneven)
    where = _listed(place.removesuffix('.') for place in uneven)
    needs = _listed(wanted[place] for place in uneven)
    return f"has {found} blocks in {where}, the config's {type(backbone).__name__} {needs}"


def _block_paths(backbone: nn.Module) -> list[str]:
    try:
        stages = residual_stages(backbone)
    except (TypeError, ValueError):  # Not a class that mmst knows.
        return _listed_modules(backbone)
    paths = {module: path for path, module in backbone.named_modules()}
    return [
        f'{paths[block.parent]}.{block.name}'.removeprefix('.')
        for stage in stages
        for block in stage
    ]


def _listed_modules(backbone: nn.Module) -> list[str]:
    """Entries of the innermost lists of modules of one class, such as the layers of a stage."""
    lists = {path: module for path, module in backbone.named_modules() if _is_block_list(module)}
    return [
        f'{path}.{name}'.removeprefix('.')
        for path, module in lists.items()
        if not any(other.startswith(f'{path}.') for other in lists)
        for name, _ in module.named_children()
    ]


def _is_block_list(module: nn.Module) -> bool:
    children = list(module.children())
    return (
        isinstance(module, _LISTS)
        and len({type(child) for child in children}) == 1
        and not isinstance(children[0], _LISTS)
        and any(True for _ in children[0].children())
    )


def _is_unfilled(path: str, needed: Set[str], unfilled: Set[str]) -> bool:
    own = {name for name in needed if name.startswith(f'{path}.')}
    return bool(own) and own <= unfilled


def _parents(name: str) -> list[str]:
    """Paths of the modules that contain a tensor."""
    parts = name.split('.')
    return ['.'.join(parts[:end]) for end in range(1, len(parts))]


def _place(path: str) -> str:
    """The path of a block without its number: that of the list with a dot, or a common prefix."""
    return re.sub(r'\d+$', '', path)


def _listed(values: Iterable[object]) -> str:
    return ', '.join(map(str, values))
