"""The options that several commands have, each declared once.

A command puts them into its parser or into a group of it, in the order of its help.
"""

from __future__ import annotations

import argparse
from typing import Any

from .key_values import ConfigChanges, KeyValues

__all__ = [
    'add_amp',
    'add_cfg_options',
    'add_config',
    'add_data',
    'add_debug',
    'add_depths',
    'add_eval_subnets',
    'add_launcher',
    'add_loading',
    'add_recalibrate',
    'add_seed',
    'add_show',
    'add_work_dir',
]

Container = argparse._ActionsContainer
"""A parser or a group of one."""


def add_config(parser: Container, what: str = 'config file') -> None:
    """Adds the config, the first positional argument of most commands, and ``--stimulate``."""
    parser.add_argument(
        'config', help=f'{what}, or library::path of one that an installed library ships'
    )
    parser.add_argument(
        '--stimulate',
        nargs='*',
        action=KeyValues,
        metavar='KEY=VALUE',
        help='make the config one of stimulative training, with other settings than the default '
        'where given, e.g. num_subnets=2 min_ratio=0.5; applied before all other options',
    )


def add_work_dir(parser: Container, what: str) -> None:
    """Adds ``--work-dir``."""
    parser.add_argument('--work-dir', help=what)


def add_data(group: Container, *, mini: str = 'generated data, small images') -> None:
    """Adds ``--data-root`` and ``--mini``."""
    group.add_argument('--data-root', help='folder with the same layout as the data of the config')
    group.add_argument('--mini', action='store_true', help=mini)


def add_loading(group: Container) -> None:
    """Adds the options that switch off settings of all dataloaders."""
    group.add_argument('--no-pin-memory', action='store_true')
    group.add_argument('--no-persistent-workers', action='store_true')


def add_cfg_options(group: Container, *, example: str = '', others: bool = False) -> None:
    """Adds ``--cfg-options``.

    Args:
        group: Where to.
        example: A ``KEY=VALUE`` for the help.
        others: Whether the command has options that are applied after it.
    """
    text = f', e.g. {example}' if example else ''
    after = ', after them all other options' if others else ''
    group.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigChanges,
        metavar='KEY=VALUE',
        help=f'changes to the config{text}; before them come --mini and --data-root{after}',
    )


def add_seed(group: Container, **settings: Any) -> None:
    """Adds ``--seed``, with separate settings for each command."""
    group.add_argument('--seed', type=int, **settings)


def add_amp(group: Container) -> None:
    """Adds ``--amp``."""
    group.add_argument('--amp', action='store_true', help='mixed precision')


def add_launcher(group: Container) -> None:
    """Adds ``--launcher``, and ``--local_rank``, which older launchers give."""
    group.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    group.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_depths(group: Container) -> None:
    """Adds ``--depths``, which chooses a subnet."""
    group.add_argument(
        '--depths', metavar='D1,D2,…', help='blocks to keep in each stage, e.g. 2,3,4,2'
    )


def add_recalibrate(group: Container) -> None:
    """Adds ``--recalibrate``."""
    group.add_argument(
        '--recalibrate',
        type=int,
        metavar='N',
        help='training batches to recompute norm statistics of the subnet from (default: 100 if '
        'norm layers were trained live, else 0)',
    )


def add_eval_subnets(group: Container) -> None:
    """Adds ``--eval-subnets``."""
    group.add_argument(
        '--eval-subnets',
        type=int,
        nargs='?',
        const=3,
        metavar='N',
        help='also evaluate N subnets with each validation, from the smallest on (without N: 3)',
    )


def add_show(group: Container, *, what: str, interval: str, wait_time: float) -> None:
    """Adds the options that draw predictions.

    Args:
        group: Where to.
        what: What the help of ``--show`` and ``--show-dir`` begins with.
        interval: Help of ``--interval``.
        wait_time: Default of ``--wait-time``.
    """
    group.add_argument('--show', action='store_true', help=f'{what}in windows')
    group.add_argument('--show-dir', help=f'{what}into a folder')
    group.add_argument('--interval', type=int, default=1, help=interval)
    group.add_argument('--wait-time', type=float, default=wait_time, help='seconds per window')


def add_debug(parser: Container, **settings: Any) -> None:
    """Adds ``--debug``, which every command has."""
    parser.add_argument(
        '--debug',
        action='store_true',
        help='show the traceback also of errors that are one line otherwise',
        **settings,
    )
