"""The scheme ``mmst://FILE``: checkpoints that mmst converts in memory for mmengine."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

from .convert import ConvertedCheckpoint, convert_checkpoint, convert_source
from .source import source_of

__all__ = ['CONVERT_SCHEME', 'register_scheme']

CONVERT_SCHEME = 'mmst://'
"""Before a path or URL: ``load_from='mmst://model.safetensors'`` for a classifier, or
``init_cfg=dict(type='Pretrained', checkpoint='mmst://model.safetensors', prefix='backbone')``."""


def register_scheme() -> None:
    """Makes mmengine read :data:`CONVERT_SCHEME`; called on ``import mmst``."""
    CheckpointLoader.register_scheme(CONVERT_SCHEME, load_from_mmst, force=True)


# mmengine logs what follows `load_from_` as the name of the backend.
def load_from_mmst(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Reads a ResNet of any supported layout as ``backbone.*``, and ``head.fc.*`` if it has that.

    Args:
        filename: ``mmst://`` and a local file, or a URL that mmengine downloads.
        map_location: A device; others than the CPU get copies.
    """
    converted = _convert(filename.removeprefix(CONVERT_SCHEME))
    left_out = ', '.join(converted.left_out) or 'nothing'
    print_log(
        f'{filename}: a {converted.architecture.name} in the layout of {converted.layout}, '
        f'converted; every key and shape fits; left out: {left_out}',
        logger='current',
    )
    prefix = 'backbone.' if converted.to == 'backbone' else ''
    state_dict = {f'{prefix}{name}': value for name, value in converted.state_dict.items()}
    if isinstance(map_location, str):
        state_dict = {name: value.to(map_location) for name, value in state_dict.items()}
    return {'meta': converted.meta, 'state_dict': state_dict}


def _convert(file: str) -> ConvertedCheckpoint:
    if '://' not in file:
        return convert_checkpoint(file)
    return convert_source(source_of(CheckpointLoader.load_checkpoint(file, 'cpu'), file))
