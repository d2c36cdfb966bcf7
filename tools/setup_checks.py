"""Requirements that a machine must meet before `make setup` starts.

Like setup_env.py: standard library only, and no syntax younger than Python 3.6.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path


class SetupError(Exception):
    """Error with the rule, the value found and the remedy."""


def check_python(version):
    """Refuse a Python that the pinned stack has no packages for."""
    if not (3, 10) <= version[:2] <= (3, 12):
        raise SetupError(
            'Python must be 3.10, 3.11 or 3.12, found {}.{}.{} at {}. Name another one: '
            'PYTHON=python3.11 make setup'.format(*version[:3], sys.executable)
        )
    for module in ('venv', 'ensurepip'):
        if not importlib.util.find_spec(module):
            raise SetupError(
                f'Python must have the module `{module}` to make .venv, and {sys.executable} '
                'has not. On Debian or Ubuntu: apt-get install python3-venv'
            )


def check_disk(folder, gib):
    """Refuse a disk that `gib` GiB in `folder` would fill."""
    free = shutil.disk_usage(str(folder)).free / 2**30
    if free < gib:
        raise SetupError(
            f'the remaining steps need about {gib:.1f} GiB of disk, and {folder} has '
            f'{free:.1f} GiB free. Make room, or move the clone to a larger disk'
        )


def check_compiler():
    """Refuse a machine that cannot compile mmcv's operators."""
    compiler = os.environ.get('CXX', 'c++').split()[0]
    if not shutil.which(compiler):
        raise SetupError(
            f'building mmcv needs a C++ compiler, and `{compiler}` is not on PATH. '
            'On Debian or Ubuntu: apt-get install g++; or name yours: CXX=... make setup'
        )
    header = Path(sysconfig.get_paths()['include'], 'Python.h')
    if not header.exists():
        raise SetupError(
            f'building mmcv needs the headers of Python, and {header} does not exist. '
            'On Debian or Ubuntu: apt-get install python3-dev'
        )
