"""Measures what stimulative training costs: its iterations against plain ones, in one process.

python tools/benchmark_step.py configs/faster_rcnn_r50_st.py --size 800 1333 --batch-size 2
python tools/benchmark_step.py configs/faster_rcnn_r50_st.py --mini --num-subnets 0 1 2 --iters 4
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import Config, DictAction

from mmst import benchmark
from mmst import config as edit  # importing mmst registers everything
from mmst.cli.launch import build_runner, set_launcher


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file of a stimulative training')
    parser.add_argument('--out', help='folder of results; default: work_dirs/benchmark_step/CONFIG')
    data = parser.add_argument_group('data')
    data.add_argument('--data-root', help='folder with the same layout as the data of the config')
    data.add_argument('--mini', action='store_true', help='generated data, small images')
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
    measure.add_argument('--seed', type=int, default=0)
    measure.add_argument(
        '--clock',
        choices=['wall', 'cpu'],
        default='wall',
        help='cpu: processor time, for a CPU that others use as well (default: %(default)s)',
    )
    run = parser.add_argument_group('run')
    run.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is one')
    run.add_argument('--amp', action='store_true', help='mixed precision')
    run.add_argument('--channels-last', action='store_true', help='memory format of the model')
    run.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config; before them come --mini and --data-root',
    )
    run.add_argument(
        '--hook-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the StimulativeHook, e.g. interval=2 inputs.min_ratio=0.5',
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Config:
    """Returns the config with all options applied; whatever can be wrong is an error here."""
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
    cfg = edit.load_config(args.config)
    if args.mini:
        edit.apply_mini(cfg, args.data_root)
        edit.set_weights(cfg, 'none')
    elif args.data_root is not None:
        edit.set_data_root(cfg, args.data_root)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    if args.amp and args.device == 'cpu':
        raise ValueError('--amp needs an accelerator, got --device cpu; leave one of them out')
    if args.amp:
        edit.enable_amp(cfg)
    benchmark.prepare_step_benchmark(cfg, settings, args.hook_options)
    edit.apply_library_defaults(cfg, persistent_workers=False)
    edit.check_data_files(cfg, ('train_dataloader',))
    cfg.work_dir = args.out
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


def main() -> None:
    args = parse_args()
    args.out = args.out or str(Path('work_dirs/benchmark_step') / Path(args.config).stem)
    # Without this the profiler, which counts memory on the CPU, complains that there is no GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    try:
        cfg = prepare(args)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    runner = build_runner(cfg)
    runner.train()
    report(args, runner.train_loop)


if __name__ == '__main__':
    main()
