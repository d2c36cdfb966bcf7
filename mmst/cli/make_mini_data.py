"""Makes a mini data set of drawn objects, in the layout of a real one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .command import run_command
from .errors import preparation
from .options import add_seed


@preparation()
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    from mmst.mini import LAYOUTS  # here, so that a missing package is one line as well

    parser.add_argument('--layout', default='coco', choices=sorted(LAYOUTS))
    parser.add_argument('--root', type=Path, help='default: data/mini/LAYOUT')
    parser.add_argument(
        '--num-train',
        type=int,
        default=argparse.SUPPRESS,
        metavar='N',
        help='number of training images',
    )
    parser.add_argument(
        '--num-val',
        type=int,
        default=argparse.SUPPRESS,
        metavar='N',
        help='number of validation images',
    )
    add_seed(parser, default=argparse.SUPPRESS, metavar='S')
    parser.add_argument('--force', action='store_true', help='make it even if it is there')


@preparation()
def run(args: argparse.Namespace) -> None:
    """Makes the data set."""
    from mmst.mini import make_mini_data

    given = {name: vars(args)[name] for name in ('num_train', 'num_val', 'seed') if name in args}
    root = args.root or Path('data/mini') / args.layout
    root = make_mini_data(args.layout, root, force=args.force, **given)
    print(f'{args.layout} mini data: {root}')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
