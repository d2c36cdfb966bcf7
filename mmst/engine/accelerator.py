"""The kinds of accelerators that mmengine knows."""

from __future__ import annotations

from mmengine.device import (
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)

__all__ = ['has_accelerator']


def has_accelerator() -> bool:
    """Returns whether a device for mixed precision and NCCL (or similar) is present."""
    return any(
        available()
        for available in (is_cuda_available, is_npu_available, is_mlu_available, is_musa_available)
    )
