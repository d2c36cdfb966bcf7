"""Prints the tables of the backbones whose blocks can be skipped, and of the refused ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmst.cli.command import run_command
from mmst.cli.errors import preparation

from .backbone_table import backbone_table, refusal_table, replace_tables
from .zoo import ZOO_LIBRARIES, count_zoo, zoo_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('--write', type=Path, metavar='PAGE', help='page whose tables are replaced')
    parser.add_argument(
        '--zoo',
        nargs='*',
        choices=ZOO_LIBRARIES,
        metavar='LIBRARY',
        help='counts the configs that these libraries, by default all, ship; takes some minutes',
    )


@preparation()
def run(args: argparse.Namespace) -> None:
    """Prints or writes tables."""
    if args.zoo is not None:
        print(zoo_table([count_zoo(library) for library in args.zoo or ZOO_LIBRARIES]))
    elif args.write is None:
        print(backbone_table(), refusal_table(), sep='\n\n')
    else:
        args.write.write_text(replace_tables(args.write.read_text()))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
