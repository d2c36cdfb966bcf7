"""Measures the cost of stimulative training: its iterations against plain ones, in one process."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

import mmst.benchmark as benchmark
import mmst.config as edit

from . import options
from .command import run_command
from .data_files import check_data_files
from .errors import preparation
from .key_values import KeyValues
from .launch import build_runner, set_launcher
from .load import read, set_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser, 'config file of a stimulative training')
    parser.add_argument('--out', help='folder of results; default: work_dirs/benchmark_step/CONFIG')
    data = parser.add_argument_group('data')
    options.add_data(data)
    data.add_argument('--batch-size', type=int, help="images per iteration; default: the config's")
    data.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help="size in pixels of each image of a batch; default: what the config's pipeline yields",
    )
    measure = parser.add_argument_group('measurement')
    measure.add_argument(
        '--num-subnets',
        nargs='+',
        type=int,
        default=[0, 1, 2, 3, 4, 5, 6],
        metavar='K',
        help='numbers of subnets to measure; 0 is a hook that is inactive (default: 0 to 6)',
    )
    measure.add_argument(
        '--iters', type=int, default=20, help='measured iterations of each (default: %(default)s)'
    )
    measure.add_argument(
        '--warmup', type=int, default=3, help='iterations of each before (default: %(default)s)'
    )
    options.add_seed(measure, default=0)
    measure.add_argument(
        '--clock',
        choices=['wall', 'cpu'],
        default='wall',
        help='cpu: processor time, for a CPU that others use as well (default: %(default)s)',
    )
    run = parser.add_argument_group('run')
    run.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is one')
    options.add_amp(run)
    run.add_argument('--channels-last', action='store_true', help='memory format of the model')
    options.add_cfg_options(run)
    run.add_argument(
        '--hook-options',
        nargs='+',
        action=KeyValues,
        metavar='KEY=VALUE',
        help='changes to the StimulativeHook, e.g. interval=2 inputs.min_ratio=0.5',
    )


@preparation()
def prepare(args: argparse.Namespace) -> Config:
    """Returns the config with all options applied, and checks it."""
    settings = benchmark.StepSettings(
        num_subnets=tuple(args.num_subnets),
        iters=args.iters,
        warmup=args.warmup,
        batch_size=args.batch_size,
        size_hw=args.size and tuple(args.size),
        channels_last=args.channels_last,
        device=args.device,
        seed=args.seed,
    )
    cfg = read(args)
    if args.amp and args.device == 'cpu':
        raise ValueError('--amp needs an accelerator, got --device cpu; leave one of them out')
    if args.amp:
        edit.enable_amp(cfg)
    benchmark.prepare_step_benchmark(cfg, settings, args.hook_options)
    set_defaults(cfg, args, args.out)
    check_data_files(cfg, ('train_dataloader',))
    return set_launcher(cfg, 'none')


def report(args: argparse.Namespace, loop: benchmark.StepBenchmarkLoop) -> None:
    """Prints the table and writes JSON and picture."""
    summaries = benchmark.summarize_steps(loop.samples, loop.interval, args.clock)
    environment = benchmark.environment(loop.device)
    out = Path(args.out)
    benchmark.write_json(
        out / 'step_benchmark.json',
        settings={
            **vars(args),
            'hook': loop.runner.cfg.train_cfg.hook.to_dict(),
            'input_shapes': loop.input_shapes,
        },
        environment=environment,
        summaries=summaries,
        samples=loop.samples,
    )
    sizes = ', '.join(' x '.join(map(str, shape)) for shape in sorted(set(loop.input_shapes)))
    title = (
        f'{Path(args.config).stem}, inputs {sizes}, {environment["device_name"]}, '
        f'{environment["threads"]} threads, {args.iters} iterations, {args.clock} time'
    )
    print(f'{title}\n\n{benchmark.format_table(summaries)}\n')
    benchmark.plot_steps(summaries, out / 'step_benchmark.png', title)
    print(f'every sample    {out / "step_benchmark.json"}')
    print(f'picture         {out / "step_benchmark.png"}')


def run(args: argparse.Namespace) -> None:
    """Measures and reports."""
    args.out = args.out or str(Path('work_dirs/benchmark_step') / Path(args.config).stem)
    # Without this the profiler, which counts memory on the CPU, complains that there is no GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    runner = build_runner(prepare(args))
    runner.train()
    report(args, runner.train_loop)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
