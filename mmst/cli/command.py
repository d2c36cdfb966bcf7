"""A command from its arguments to its exit status."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from .errors import ErrorExit
from .options import add_debug

__all__ = ['run_command']


def run_command(
    doc: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> None:
    """Parses the arguments of a command and runs it.

    Args:
        doc: Docstring of its module, the first line of which describes it.
        add_arguments: Adds its arguments to a parser.
        run: Runs it with the parsed arguments.
        argv: Arguments, by default those of the process.

    Raises:
        SystemExit: The input was bad, or the command chose an exit status.
    """
    with ErrorExit() as errors:
        parser = argparse.ArgumentParser(description=doc.partition('\n')[0])
        add_arguments(parser)
        add_debug(parser)
        args = parser.parse_args(argv)
        errors.debug = args.debug
        run(args)
