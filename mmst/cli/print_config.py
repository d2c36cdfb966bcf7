"""Prints a config with all that options change, or writes it as one that needs no other file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from . import options
from .command import run_command
from .errors import preparation
from .load import read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser)
    options.add_data(parser, mini='generated data, small images, a short schedule')
    options.add_cfg_options(parser, example='train_cfg.max_epochs=24')
    parser.add_argument('-o', '--out', metavar='OUT.py', help='write it, instead of printing it')


@preparation()
def prepare(args: argparse.Namespace) -> Config:
    """Returns the config; whatever can be wrong is an error here.

    Raises:
        ValueError: ``--out`` is no file to be written.
    """
    if args.out is not None and (not args.out.endswith('.py') or Path(args.out).exists()):
        raise ValueError(f'--out must be a new file that ends in .py, got {args.out!r}')
    return read(args)


def run(args: argparse.Namespace) -> None:
    """Prints or writes the config."""
    text = prepare(args).pretty_text
    if args.out is None:
        print(text)
        return
    Path(args.out).write_text(f'# {args.config} and all that it builds on{_changes(args)}.\n{text}')
    print(f'written to {args.out}')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)


def _changes(args: argparse.Namespace) -> str:
    """The options that changed the config, as they are given."""
    given = [
        name for name in ('--stimulate', '--mini') if getattr(args, name[2:]) not in (None, False)
    ]
    if args.stimulate:
        settings = ' '.join(f'{name}={value}' for name, value in args.stimulate.items())
        given[0] += f' {settings}'
    return f', with {" ".join(given)}' if given else ''
