"""Reading checkpoints."""

from .safe_load import (
    UntrustedCheckpointError,
    load_checkpoint,
    register_safe_globals,
    safe_loading,
)

__all__ = [
    'UntrustedCheckpointError',
    'safe_loading',
    'load_checkpoint',
    'register_safe_globals',
]
