"""Reader of config files, where all edits begin."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .traversal import type_name

__all__ = ['load_config']


def load_config(file: str) -> Config:
    """Reads a config file, also one of mmengine's new style (``with read_base():``).

    ``'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'`` is one that an installed library ships.

    ``PretrainedInit`` in the model becomes ``'Pretrained'``, with which OpenMMLab's backbones
    compare: by the class, ResNets would set the last norm weight of each loaded block to 0; by the
    class's path, which mmengine writes to files, layers would be initialised after loading.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The library is not installed.
    """
    path = _shipped(file) if '::' in file else Path(file)
    if not path.is_file():
        raise FileNotFoundError(f'config must be an existing file, got {file!r}{_similar(path)}')
    cfg = Config.fromfile(path)
    _name_pretrained(cfg.get('model'))
    return cfg


def _shipped(name: str) -> Path:
    """Path of ``library::path``."""
    library, _, path = name.partition('::')
    spec = importlib.util.find_spec(library) if library.isidentifier() else None
    if spec is None or spec.origin is None:
        raise ImportError(f'config {name!r} is one of {library!r}, which is not installed')
    return Path(spec.origin).parent / '.mim' / 'configs' / path


def _similar(path: Path) -> str:
    """The file of the same folder with the most similar name, as a hint."""
    names = [file.name for file in path.parent.glob('*.py')]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f'; there is {close[0]!r} in the same folder' if close else ''


def _name_pretrained(node: Any) -> None:
    if isinstance(node, dict):
        if type_name(node) == 'PretrainedInit':
            node['type'] = 'Pretrained'
        node = list(dict.values(node))
    if isinstance(node, (list, tuple)):
        for value in node:
            _name_pretrained(value)
