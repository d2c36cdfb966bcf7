"""Writers of files, whole or not at all, and of checkpoints under publishable names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import torch

__all__ = ['file_sha256', 'write_checkpoint', 'write_whole']


def file_sha256(file: str | PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(file, 'rb') as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(file: Path, write: Callable[[Path], Path | None]) -> Path:
    """Writes a file; a failure leaves neither a part of it nor a new folder behind.

    Args:
        file: The file, which is replaced; its folder is made.
        write: Writes to the path it is given, which lies beside ``file`` and has its suffix. If it
            returns a path, that is what the file is called instead.

    Returns:
        The file.
    """
    folder = file.parent
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    partial = folder / f'.{file.stem}.{os.getpid()}.partial{file.suffix}'
    written = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = write(partial) or file
        partial.replace(file)
        written = True
    finally:
        partial.unlink(missing_ok=True)
        if not written:
            for parent in filter(Path.is_dir, made):
                parent.rmdir()
    return file


def write_checkpoint(checkpoint: dict[str, Any], target: str | PathLike[str], name: str) -> Path:
    """Writes a checkpoint; a failure leaves nothing behind.

    Args:
        checkpoint: What ``torch.save`` takes.
        target: A file, which is replaced; or a folder (one that exists, or with a slash at the
            end), for a file named as OpenMMLab publishes: ``<name>-<first 8 of SHA-256>.pth``.
        name: Name of a file in a folder.

    Returns:
        The file.

    Raises:
        ValueError: The file is called ``.safetensors``.
    """
    path = Path(target)
    if path.suffix == '.safetensors':
        raise ValueError(
            f"DST must not end in .safetensors, got {str(target)!r}: it is written in torch's "
            'format, which OpenMMLab reads; use .pth'
        )
    is_folder = path.is_dir() or str(target).endswith(('/', os.sep))

    def write(partial: Path) -> Path | None:
        torch.save(checkpoint, partial)
        return path / f'{name}-{file_sha256(partial)[:8]}.pth' if is_folder else None

    return write_whole(path / f'{name}.pth' if is_folder else path, write)
