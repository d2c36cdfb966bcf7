"""Runs a grid of trainings, and puts its results into a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mmst.benchmark as benchmark

from . import options
from .checkout import TOOLS
from .command import run_command
from .errors import preparation

RESULTS = Path('docs/results')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    commands = parser.add_subparsers(dest='command', required=True)
    run = commands.add_parser('run', help='train and test all cells that are not finished')
    run.add_argument('grid', help='YAML file')
    run.add_argument('--data-root', help='folder with the same layout as the data of the configs')
    run.add_argument(
        '--results', type=Path, default=RESULTS, help='folder of the results (default: %(default)s)'
    )
    run.add_argument(
        '--work-dirs',
        type=Path,
        default=Path('work_dirs'),
        help='folder of logs and checkpoints (default: %(default)s)',
    )
    run.add_argument('--arms', nargs='+', metavar='ARM', help='default: all')
    run.add_argument('--seeds', nargs='+', type=int, metavar='N', help="default: the grid's")
    run.add_argument('--jobs', type=int, default=1, metavar='N', help='cells at the same time')
    table = commands.add_parser('table', help='write the tables of results into a page')
    table.add_argument('page', type=Path, help='Markdown file with the marks of the tables')
    table.add_argument('grids', nargs='+', help='YAML files')
    table.add_argument('--results', type=Path, default=RESULTS)
    run.set_defaults(work=train_and_test)
    table.set_defaults(work=write_tables)
    for command in (run, table):
        options.add_debug(command, default=argparse.SUPPRESS)


def train_and_test(args: argparse.Namespace) -> str | None:
    """Returns the errors at the end."""
    grid = benchmark.load_grid(args.grid)
    arms, seeds = benchmark.chosen(grid, args.arms, args.seeds)
    runner = benchmark.CellRunner(
        results=args.results / grid.name,
        work_dirs=args.work_dirs / grid.name,
        tools=TOOLS,
        data_root=args.data_root,
        metric=grid.metric,
        say=lambda line: print(line, flush=True),
    )
    failed = benchmark.run_cells(runner, benchmark.make_cells(grid, arms, seeds), args.jobs)
    return f'failed: {", ".join(cell.name for cell in failed)}' if failed else None


def write_tables(args: argparse.Namespace) -> None:
    """Writes tables and pictures of finished cells."""
    text = args.page.read_text()
    for file in args.grids:
        grid = benchmark.load_grid(file)
        results = benchmark.read_results(grid, args.results / grid.name)
        text = benchmark.replace_results(text, grid, results)
        benchmark.plot_results(grid, results, args.results / f'{grid.name}.png')
    args.page.write_text(text)


@preparation()
def run(args: argparse.Namespace) -> None:
    """Runs cells, each in its own process, or writes tables."""
    sys.exit(args.work(args))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
