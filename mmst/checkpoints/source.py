"""Files with weights, of any format: the state dict in them and what stands beside it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .safe_load import load_checkpoint

__all__ = ['Source', 'read_source', 'source_of']

# Entries in which training code puts the weights, and their running average. mmengine's EMAHook
# exchanges the two: its `state_dict` is the average, beside an `ema_state_dict` that is not.
_WEIGHTS = ('state_dict', 'model', 'model_state_dict', 'net', 'network')
_AVERAGES = ('state_dict_ema', 'model_ema', 'ema', 'ema_model')
_PREFIXES = ('module.', '_orig_mod.')
_COUNTER = 'n_averaged'  # of torch's AveragedModel, in which torchvision keeps its average


@dataclass(frozen=True)
class Source:
    """A file that was read.

    Attributes:
        file: The file.
        entry: Entry of the file that holds the state dict, ``''`` if the file is the state dict.
        state_dict: Tensors on the CPU, without the prefix of a wrapper such as ``module.``.
        meta: What the file says about itself: OpenMMLab's ``meta``, safetensors' metadata, and
            under ``'arch'`` the name that timm gives the network.
        others: Further entries of the file.
    """

    file: Path
    entry: str
    state_dict: dict[str, Tensor]
    meta: dict[str, Any]
    others: tuple[str, ...]


def read_source(file: str | PathLike[str], entry: str | None = None) -> Source:
    """Reads ``.safetensors`` (known by the name) or anything written by ``torch.save``.

    Args:
        file: A local file.
        entry: Entry of the file that holds the weights; needed only where there are several.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The file needs the package safetensors.
        UntrustedCheckpointError: Reading the file would run code.
        ValueError: The file is damaged, or which weights in it are meant is not clear.
    """
    path = Path(file)
    content, meta = _read(path)
    return source_of(content, path, entry, meta)


def source_of(
    content: Any,
    file: str | PathLike[str],
    entry: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Source:
    """Finds the weights in the content of a file.

    Args:
        content: What the file holds.
        file: Its name, or a URL.
        entry: As in :func:`read_source`.
        meta: What the file says about itself, in formats that keep that apart.

    Raises:
        ValueError: Which weights are meant is not clear, or there are none.
    """
    path, meta = Path(file), dict(meta or {})
    if not isinstance(content, Mapping):
        raise ValueError(
            f'checkpoint must be a file with a state dict, got {str(file)!r} with a '
            f'{type(content).__name__}'
        )
    found = _entry(content, entry, path)
    state_dict = content[found] if found else content
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise ValueError(
            f'checkpoint must be a file with a state dict, got {str(file)!r} without tensors '
            f'(its entries: {_listed(content)})'
        )
    others = [str(name) for name in content if name != found] if found else []
    tensors.pop(_COUNTER, None)
    others += [str(name) for name in state_dict if name not in tensors]
    if isinstance(content.get('meta'), Mapping):
        meta = dict(content['meta'])
        others = [name for name in others if name != 'meta']
    if isinstance(content.get('arch'), str):
        meta['arch'] = content['arch']
    return Source(path, found, _without_prefix(tensors), meta, tuple(others))


def _read(file: Path) -> tuple[Any, dict[str, Any]]:
    """The content of a file, and safetensors' metadata."""
    if file.is_dir():
        raise ValueError(
            f'checkpoint must be a file, got the folder {str(file)!r}; name the file in it'
        )
    if file.suffix == '.safetensors':
        return _read_safetensors(file)
    _check_first_bytes(file)
    # timm and torchvision save their command line: an object with attributes, without code.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return load_checkpoint(file, verify=True), {}


def _entry(content: Mapping[str, Any], entry: str | None, file: Path) -> str:
    if entry is not None:
        if not isinstance(content.get(entry), Mapping):
            raise ValueError(
                f'entry must name a state dict in {str(file)!r}, got {entry!r}; '
                f'the file has: {_listed(content)}'
            )
        return entry
    held = [name for name in (*_WEIGHTS, *_AVERAGES) if isinstance(content.get(name), Mapping)]
    if len(held) > 1:
        raise ValueError(
            f'checkpoint must hold the weights of one network, got {str(file)!r} with '
            f'{_listed(held)}; select one with tools/convert_checkpoint.py --entry, or the '
            'argument entry'
        )
    return held[0] if held else ''


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(
            f'reading {str(file)!r} needs the package safetensors: pip install safetensors'
        ) from error
    if not file.is_file():
        raise FileNotFoundError(f'checkpoint must be an existing file, got {str(file)!r}')
    try:
        with safe_open(file, framework='pt') as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            return tensors, dict(stream.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f'checkpoint {str(file)!r} cannot be read: it is damaged, incomplete, or not in the '
            f'format of safetensors ({error})'
        ) from error


def _check_first_bytes(file: Path) -> None:
    """Distinguishes a text page, such as a failed download, from an untrusted pickle."""
    if file.is_file():
        with open(file, 'rb') as stream:
            start = stream.read(20)
        if start and not start.startswith((b'PK', b'\x80')):
            raise ValueError(
                f'checkpoint {str(file)!r} cannot be read: it begins with {start!r}, as no '
                'checkpoint of torch does; download it again (safetensors need that suffix)'
            )


def _without_prefix(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drops the prefixes that DistributedDataParallel and torch.compile put before all names."""
    while prefix := next((p for p in _PREFIXES if all(n.startswith(p) for n in state_dict)), None):
        state_dict = {name.removeprefix(prefix): value for name, value in state_dict.items()}
    return dict(state_dict)


def _listed(names: Iterable[Any], most: int = 5) -> str:
    shown = [repr(name) for name in names]
    return ', '.join(shown[:most]) + (', ...' if len(shown) > most else '') or 'none'
