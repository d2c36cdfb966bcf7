"""Reading checkpoints."""

from .safe_load import (
    UntrustedCheckpointError,
    explain_refusal,
    load_checkpoint,
    register_safe_globals,
)

__all__ = [
    'UntrustedCheckpointError',
    'explain_refusal',
    'load_checkpoint',
    'register_safe_globals',
]
