"""Checkpoints: safe reading, conversion from other libraries, comparison with models."""

from .convert import (
    TARGETS,
    ConvertedCheckpoint,
    check_namesake,
    convert_checkpoint,
    convert_source,
)
from .layouts import LAYOUTS
from .pretrained import check_pretrained
from .run_checkpoint import check_checkpoint
from .safe_load import (
    UntrustedCheckpointError,
    load_checkpoint,
    register_safe_globals,
    safe_loading,
)
from .scheme import CONVERT_SCHEME, register_scheme
from .source import Source, read_source, source_of
from .write import write_checkpoint

__all__ = [
    'CONVERT_SCHEME',
    'LAYOUTS',
    'TARGETS',
    'ConvertedCheckpoint',
    'Source',
    'UntrustedCheckpointError',
    'check_checkpoint',
    'check_namesake',
    'check_pretrained',
    'convert_checkpoint',
    'convert_source',
    'load_checkpoint',
    'read_source',
    'register_safe_globals',
    'register_scheme',
    'safe_loading',
    'source_of',
    'write_checkpoint',
]
