"""The layout of the authors' released ImageNet checkpoints.

All blocks stand in one row: ``features.{b}`` with ``body.0/1/3/4/6/7`` (convolution, BatchNorm,
and again) and, on the first block of a stage, ``shortcut.0/1``; ``features.0.0/1`` is the stem and
``classifier.0`` the linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

__all__ = ['is_reference_layout', 'to_mmpretrain']

_STEM = {'features.0.0': 'conv1', 'features.0.1': 'bn1', 'classifier.0': 'fc'}


def is_reference_layout(keys: Iterable[str]) -> bool:
    """Tells whether the keys of a state dict are those of the authors' release."""
    return any(re.match(r'features\.\d+\.body\.', _strip(key)) for key in keys)


def to_mmpretrain(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the authors' keys to those of an mmpretrain image classifier.

    Args:
        state_dict: State dict of the release; a leading ``module.`` is dropped.

    Returns:
        The same tensors under ``backbone.*`` and ``head.fc.*``.

    Raises:
        ValueError: A key does not belong to the layout.
    """
    plain = {_strip(key): value for key, value in state_dict.items()}
    blocks = sorted({int(m[1]) for key in plain if (m := re.match(r'features\.(\d+)\.body', key))})
    places: dict[int, tuple[int, int]] = {}
    stage, index = 0, 0
    for block in blocks:
        # The first block of a network of basic blocks has no shortcut.
        if stage == 0 or f'features.{block}.shortcut.0.weight' in plain:
            stage, index = stage + 1, 0
        places[block] = (stage, index)
        index += 1
    return {_rename(key, places): value for key, value in plain.items()}


def _strip(key: str) -> str:
    return key.removeprefix('module.')


def _rename(key: str, places: Mapping[int, tuple[int, int]]) -> str:
    module, _, tensor = key.rpartition('.')
    if module in _STEM:
        name = _STEM[module]
        return f'head.{name}.{tensor}' if name == 'fc' else f'backbone.{name}.{tensor}'
    match = re.fullmatch(r'features\.(\d+)\.(body|shortcut)\.(\d+)', module)
    if match is None or int(match[1]) not in places:
        raise ValueError(
            f"state_dict must be in the layout of the authors' release, got the key {key!r}"
        )
    stage, index = places[int(match[1])]
    number = int(match[3])
    part = (
        f'downsample.{number}'
        if match[2] == 'shortcut'
        else f'{("conv", "bn")[number % 3]}{number // 3 + 1}'
    )
    return f'backbone.layer{stage}.{index}.{part}.{tensor}'
