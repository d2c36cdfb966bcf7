"""Draws metric and losses of several runs against epochs and against the computation spent."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmst.analysis.run_log import SUBNET_PREFIX, read_run_log
from mmst.analysis.runs import LoggedRun, spent_iterations, write_csv
from mmst.analysis.runs_plot import EPOCHS, FLOPS, plot_runs
from mmst.benchmark import training_cost
from mmst.checkpoints.write import write_whole
from mmst.config.file import load_config
from mmst.config.stimulative_hook import stimulative_hook
from mmst.pyplot import import_pyplot
from mmst.subnets.pareto import choose_metric

from .command import run_command
from .errors import preparation
from .key_values import split_label


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'runs', nargs='+', metavar='[NAME=]DIR', help='work dirs, each with a name for the figure'
    )
    parser.add_argument('--metric', metavar='NAME', help="default: the first run's main metric")
    parser.add_argument(
        '--losses',
        nargs='*',
        default=['loss'],
        metavar='NAME',
        help='losses to draw below the metric, none without a name (default: loss)',
    )
    parser.add_argument(
        '--against',
        nargs='+',
        choices=[EPOCHS, FLOPS],
        default=[EPOCHS, FLOPS],
        help='default: both',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='count the FLOPs of each network for inputs of this size; without it, the unit of '
        'computation is an iteration of plain training',
    )
    parser.add_argument(
        '--out-dir', default='work_dirs/plot_runs', help='folder of results (default: %(default)s)'
    )


def read_run(text: str, input_hw: tuple[int, int] | None) -> LoggedRun:
    """Reads a run, and counts its FLOPs if a size of inputs is given.

    Raises:
        FileNotFoundError: Nothing was logged there, or the config that is needed is missing.
        ValueError: Nothing can be counted in the model.
    """
    label, folder = split_label(text)
    log = read_run_log(folder)
    label = label or Path(folder).resolve().name
    file = _config_file(folder)
    hook = None if file is None else stimulative_hook(_settings(file))
    interval = 1 if hook is None else hook.get('interval', 1)
    if input_hw is None:
        return LoggedRun(label, log, interval)
    if file is None:
        raise FileNotFoundError(
            f'--size needs the config of each run, which is not in {folder}/*/vis_data/config.py; '
            'leave --size out'
        )
    cost = training_cost(load_config(str(file)), input_hw, iters=1)
    return LoggedRun(label, log, interval, cost.flops(1, passes=1.0))


def _config_file(folder: str) -> Path | None:
    """The config that mmengine has written beside the scalars of the last start."""
    return max(Path(folder).glob('*/vis_data/config.py'), default=None)


def _settings(file: Path) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


@preparation()
def prepare(args: argparse.Namespace) -> tuple[list[LoggedRun], str | None]:
    """Returns the runs, and the name of the metric, None if there was no validation.

    Raises:
        ValueError: Names of runs are the same, or no run has such a metric or loss.
    """
    import_pyplot('curves of runs are')
    input_hw = None if args.size is None else (args.size[0], args.size[1])
    runs = [read_run(text, input_hw) for text in args.runs]
    labels = [run.label for run in runs]
    if len(set(labels)) < len(labels):
        raise ValueError(f'runs must have different names, got {labels}; give NAME=DIR')
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics()))
    metric = None
    if metrics or args.metric is not None:
        file = _config_file(split_label(args.runs[0])[1])
        cfg = Config() if file is None else _settings(file)
        metric = choose_metric(cfg, metrics, args.metric).name
    losses = {name.removeprefix(SUBNET_PREFIX): None for run in runs for name in run.log.losses()}
    unknown = [name for name in args.losses if name not in losses]
    if unknown:
        raise ValueError(f'--losses must be among {list(losses)}, got {unknown}')
    if metric is None and not args.losses:
        raise ValueError('runs must have a validation if no loss is drawn, got none')
    if FLOPS in args.against:
        for run in runs:
            spent_iterations(run)
    return runs, metric


def report(runs: Sequence[LoggedRun], metric: str | None, with_cost: bool) -> None:
    """Prints the end of each run."""
    width = max(16, *(len(run.label) + 2 for run in runs))
    unit = f'{"plain iterations":>18}' if with_cost else ''
    print(f'{"":<{width}}{"iterations":>12}{unit}  {metric or ""}')
    for run in runs:
        last = max(run.log.training)
        spent = f'{spent_iterations(run)([last])[0]:>18.1f}' if with_cost else ''
        values = run.log.metric(metric) if metric else []
        value = f'{values[-1][1]:.4f}' if values else ''
        print(f'{run.label:<{width}}{last:>12}{spent}  {value}')


def run(args: argparse.Namespace) -> None:
    """Reads, draws, writes and reports."""
    runs, metric = prepare(args)
    with_cost = FLOPS in args.against
    picture, table = (Path(args.out_dir) / f'runs.{suffix}' for suffix in ('png', 'csv'))
    curves = [(one, curve) for one in runs for curve in one.metric_curves(metric or '')]
    curves += [
        (one, curve) for one in runs for name in args.losses for curve in one.loss_curves(name)
    ]
    plot_runs(runs, metric, args.losses, picture, args.against)
    write_whole(table, lambda file: write_csv(curves, file, with_cost=with_cost))
    report(runs, metric, with_cost)
    print(f'files           {picture}, {picture.with_suffix(".svg")}, {table}')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
