"""``mmst://FILE``: checkpoints that mmengine gets converted, in memory."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

from .convert import convert_checkpoint

__all__ = ['CONVERT_SCHEME', 'register_scheme']

CONVERT_SCHEME = 'mmst://'
"""Before a path: ``init_cfg=dict(type='Pretrained', checkpoint='mmst://model.safetensors')``."""


def register_scheme() -> None:
    """Makes mmengine read :data:`CONVERT_SCHEME`; called on ``import mmst``."""
    CheckpointLoader.register_scheme(CONVERT_SCHEME, load_from_mmst, force=True)


# mmengine logs what follows `load_from_` as the name of the backend.
def load_from_mmst(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Reads a file of any supported layout as a bare backbone.

    Args:
        filename: ``mmst://`` and a local file.
        map_location: A device; others than the CPU get copies.
    """
    converted = convert_checkpoint(filename.removeprefix(CONVERT_SCHEME), to='backbone')
    left_out = ', '.join(converted.left_out) or 'nothing'
    print_log(
        f'{filename}: a {converted.architecture.name} in the layout of {converted.layout}, '
        f'converted; every key and shape fits; left out: {left_out}',
        logger='current',
    )
    state_dict = converted.state_dict
    if isinstance(map_location, str):
        state_dict = {name: value.to(map_location) for name, value in state_dict.items()}
    return {'meta': converted.meta, 'state_dict': state_dict}
