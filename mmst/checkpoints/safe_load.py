"""Safe reading of checkpoints: no code inside them runs.

A pickle can call any function. Since version 2.6 torch therefore refuses every class and function
that is not on a list (``weights_only``), and mmengine's checkpoints name some that are not: the
message hub's ``HistoryBuffer``, numpy arrays, and ``getattr``. This module lists exactly those.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as schemes

__all__ = [
    'UntrustedCheckpointError',
    'load_checkpoint',
    'register_safe_globals',
    'register_safe_schemes',
    'safe_loading',
]

_METHODS = {
    HistoryBuffer: ('min', 'max', 'mean', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}

# A dtype is rebuilt as an instance of its own class. float64 and int64 are the log history (int32
# on Windows), the others are mmpose's dataset_meta.
_DTYPES = ('Float64DType', 'Float32DType', 'Int64DType', 'Int32DType', 'UInt8DType')
_DTYPE_CODES = ('f8', 'f4', 'i8', 'i4', 'u1')

_SCHEMES: dict[Callable[..., Any], tuple[str, ...]] = {
    schemes.load_from_local: ('',),
    schemes.load_from_http: ('http://', 'https://'),
    schemes.load_from_torchvision: ('modelzoo://', 'torchvision://'),
    schemes.load_from_openmmlab: ('open-mmlab://', 'openmmlab://'),
    schemes.load_from_mmcls: ('mmcls://',),
    schemes.load_from_pavi: ('pavi://',),
    schemes.load_from_ceph: (r'(\S+\:)?s3://', r'(\S+\:)?petrel://'),
}

_TORCH_SWITCHES = ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')


class UntrustedCheckpointError(ValueError):
    """A checkpoint asks for a class or function that no checkpoint needs."""


def register_safe_globals() -> None:
    """Lets ``torch.load`` read mmengine's checkpoints with ``weights_only``, and nothing more.

    Called on ``import mmst``. It adds to torch's own list and may be called repeatedly.
    """
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            OneCycleParamScheduler,
            (_restricted_getattr, 'builtins.getattr'),
            *_numpy_globals(),
        ]
    )


def register_safe_schemes() -> None:
    """Makes mmengine read every checkpoint as :func:`safe_loading` does, whoever names it.

    Called by the commands. Only the reading is within the context: an error of a hook or a
    data set is not one of a checkpoint. Schemes that others registered stay if they are registered
    later.
    """
    for loader, prefixes in _SCHEMES.items():
        CheckpointLoader.register_scheme(prefixes, _read_safely(loader), force=True)


def _read_safely(loader: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(loader)  # mmengine logs its name
    def read(filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            with safe_loading(filename):
                return loader(filename, *args, **kwargs)
        except OSError as error:  # no connection, no such file
            raise OSError(f'checkpoint {filename!r} cannot be loaded: {error}') from error

    return read


def load_checkpoint(file: str | PathLike[str], *, verify: bool = False) -> Any:
    """Reads a checkpoint file on the CPU, with ``weights_only``.

    Tensors are mapped from the file instead of copied where its format allows that.

    Args:
        file: A local file written by ``torch.save``.
        verify: Whether to read the whole file and compare its checksums, which torch does not.

    Raises:
        FileNotFoundError: There is no such file.
        UntrustedCheckpointError: The file asks for something that is not on the list.
        ValueError: The file is damaged, or no checkpoint.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f'checkpoint must be an existing file, got {str(file)!r}')
    with safe_loading(file):
        try:
            if verify and _is_zip(file):
                _verify(file)
            return torch.load(file, map_location='cpu', weights_only=True, mmap=_is_zip(file))
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # a damaged file may raise anything
            raise ValueError(
                f'checkpoint {str(file)!r} cannot be read: it is damaged, incomplete, or no '
                f'torch checkpoint ({error})'
            ) from error


@contextmanager
def safe_loading(source: object) -> Iterator[None]:
    """Makes everything that is loaded inside load with ``weights_only``, and explains refusals.

    mmengine leaves the choice to torch, whose functions do not agree: ``torch.load`` refuses what
    is unsafe, but ``torch.hub.load_state_dict_from_url``, and with it every URL, does not.

    Args:
        source: What is being loaded, for the message.

    Raises:
        UntrustedCheckpointError: Loading was refused within the context.
    """
    before = {name: os.environ.pop(name, None) for name in _TORCH_SWITCHES}
    os.environ[_TORCH_SWITCHES[0]] = '1'
    try:
        yield
    except pickle.UnpicklingError as error:
        wanted = re.search(r'GLOBAL ([\w.()]+)', str(error))
        reason = re.search(r'WeightsUnpickler error:\s*(.*)', str(error))
        detail = f'it asks for {wanted[1]!r}' if wanted else (reason[1] if reason else str(error))
        raise UntrustedCheckpointError(
            f'checkpoint {str(source)!r} is refused, and nothing in it was executed: {detail}. '
            'No checkpoint of OpenMMLab, timm or torchvision needs that, so the file is not '
            'trusted; download it again, or ask its authors for the state dict alone'
        ) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _restricted_getattr(owner: Any, name: str) -> Any:
    """Stands in for ``getattr`` while unpickling: only the methods that mmengine pickles."""
    allowed = next((names for cls, names in _METHODS.items() if cls is owner), ())
    if name not in allowed:
        owner_name = getattr(owner, '__name__', type(owner).__name__)
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr({owner_name}.{name})')
    return getattr(owner, name)


def _restricted_dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype:
    """Stands in for ``numpy.dtype`` while unpickling: plain numbers only.

    Of any other dtype the pickle could set the fields, and numpy would follow its pointers.
    """
    if code not in _DTYPE_CODES:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL numpy.dtype({code})')
    return np.dtype(code)


def _numpy_globals() -> list[Any]:
    """Functions that rebuild numpy arrays and scalars, under the names of numpy 1 and 2."""
    multiarray = np.array(0).__reduce__()[0].__module__
    module = importlib.import_module(multiarray)
    functions = [
        (getattr(module, function), f'numpy.{core}.multiarray.{function}')
        for core in ('core', '_core')
        for function in ('_reconstruct', 'scalar')
    ]
    dtypes = [getattr(np.dtypes, name) for name in _DTYPES]
    return [np.ndarray, (_restricted_dtype, 'numpy.dtype'), *functions, *dtypes]


def _is_zip(file: str | PathLike[str]) -> bool:
    with open(file, 'rb') as stream:
        return stream.read(4) == b'PK\x03\x04'


def _verify(file: str | PathLike[str]) -> None:
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f'wrong checksum of {damaged}')
