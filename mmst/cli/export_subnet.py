"""Takes a subnet out of a trained network: a smaller checkpoint with its config."""

from __future__ import annotations

import argparse
import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmst.checkpoints.write import file_sha256, write_whole
from mmst.config.checkpoint import set_local_checkpoint
from mmst.subnets import export, onnx_export, pareto_plot
from mmst.subnets.config import use_validation_data
from mmst.subnets.cost import CostMeter, SubnetCost, check_repeats
from mmst.subnets.evaluation import check_recalibrate, parse_depths, prepare_subnet_test
from mmst.subnets.search import Limits, search_key, search_subnets

from . import options
from .command import run_command
from .data_files import check_data_files
from .errors import preparation
from .launch import build_runner, set_launcher
from .load import read, set_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser)
    parser.add_argument('checkpoint', help='checkpoint file of the whole network')
    parser.add_argument('out', help='folder for checkpoint and config')
    which = parser.add_argument_group('which subnet (one of these)')
    which = which.add_mutually_exclusive_group(required=True)
    options.add_depths(which)
    which.add_argument(
        '--max-flops',
        type=float,
        metavar='F',
        help="the best subnet of at most F times the whole network's FLOPs (F up to 1), or of F "
        'FLOPs',
    )
    which.add_argument(
        '--max-latency',
        type=float,
        metavar='RATIO',
        help="the best subnet of at most RATIO times the whole network's measured latency",
    )
    best = parser.add_argument_group('choosing the best')
    best.add_argument(
        '--metric',
        metavar='NAME',
        help="validation metric; default: the config's save_best, or the usual one of the task",
    )
    best.add_argument(
        '--max-candidates',
        type=int,
        default=64,
        metavar='N',
        help='refuse to evaluate more subnets (default: %(default)s)',
    )
    how = parser.add_argument_group('subnet')
    options.add_recalibrate(how)
    how.add_argument(
        '--repeats',
        type=int,
        metavar='N',
        help='runs of each network to measure latency from (default: 10, and more for a second)',
    )
    how.add_argument(
        '--onnx',
        action='store_true',
        help='also write the classifier, or backbone and neck, as ONNX and compare its outputs',
    )
    data = parser.add_argument_group('data')
    options.add_data(data)
    options.add_cfg_options(data)


@preparation()
def prepare(args: argparse.Namespace) -> tuple[Config, Config]:
    """Returns the config to run and the one to export from, and checks them."""
    args.limits = None
    if args.depths is not None:
        args.depths = parse_depths(args.depths)
    else:
        args.limits = Limits(args.max_flops, args.max_latency, args.max_candidates)
        pareto_plot.check_matplotlib()
    check_recalibrate(args.recalibrate)
    check_repeats(args.repeats)
    if args.onnx:
        onnx_export.check_onnx_installed()
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ValueError(f'OUT must be a folder, got the file {args.out!r}')
    cfg = read(args)
    base = copy.deepcopy(cfg)
    if args.limits is not None:
        use_validation_data(cfg)
    prepare_subnet_test(cfg)
    set_defaults(cfg, args, str(Path(args.out) / 'log'))
    check_data_files(
        cfg, ('test_dataloader' if cfg.get('test_dataloader') else 'train_dataloader',)
    )
    args.file = set_local_checkpoint(cfg, args.checkpoint)
    return set_launcher(cfg, 'none'), base


def choose(args: argparse.Namespace, runner: Runner, meter: CostMeter, base: Config) -> tuple:
    """Evaluates candidates, writes the front, and returns the depths of the best."""
    settings = hashlib.sha256(base.pretty_text.encode()).hexdigest()
    checksum = file_sha256(args.file)
    measured, metric, best = search_subnets(
        runner,
        meter,
        args.limits,
        Path(args.out) / 'candidates.jsonl',
        key=search_key(meter, checksum, settings, args.recalibrate, args.repeats),
        metric=args.metric,
        recalibrate=args.recalibrate,
        repeats=args.repeats,
    )
    table, picture = (Path(args.out) / f'front.{suffix}' for suffix in ('csv', 'png'))
    write_whole(table, lambda file: pareto_plot.write_front_csv(measured, metric, best, file))
    title = Path(args.config).stem
    pareto_plot.plot_front(measured, metric, best, picture, title)
    print(f'chosen          {",".join(map(str, best.depths))}\nfront           {table}, {picture}')
    return best.depths


def report(cost: SubnetCost, meter: CostMeter, exported: export.ExportedSubnet) -> None:
    """Prints files and costs."""
    size = ' x '.join(map(str, meter.data['inputs'].shape))
    whole, subnet = cost.latency.full_ms, cost.latency.subnet_ms
    rows = {
        'parameters': (*cost.parameters, cost.parameters[1] / cost.parameters[0]),
        'FLOPs': (*cost.flops, cost.flops[1] / cost.flops[0]),
        'latency, ms': (f'{whole:.2f}', f'{subnet:.2f}', cost.latency.ratio),
    }
    print(f'config          {exported.config}\ncheckpoint      {exported.checkpoint}\n')
    print(f'{"":<16}{"whole network":>16}{"subnet":>16}{"ratio":>8}')
    for name, (full, part, ratio) in rows.items():
        full, part = (f'{n:,}' if isinstance(n, int) else n for n in (full, part))
        print(f'{name:<16}{full:>16}{part:>16}{ratio:>8.3f}')
    print(f'FLOPs and latency of the {meter.counted} in tensor mode, input {size}')


def run(args: argparse.Namespace) -> None:
    """Chooses, exports and measures a subnet."""
    cfg, base = prepare(args)
    runner = build_runner(cfg)
    runner.load_or_resume()
    meter = CostMeter(runner)
    depths = args.depths or choose(args, runner, meter, base)
    file = Path(args.out) / f'{Path(args.config).stem}_{"-".join(map(str, depths))}'
    exported = export.export_subnet(runner, base, depths, file, args.recalibrate)
    report(meter.measure(depths, args.repeats), meter, exported)
    if args.onnx:
        part, what = onnx_export.exported_part(exported.model, base)
        onnx = exported.checkpoint.with_suffix('.onnx')
        difference = onnx_export.write_onnx(part, meter.data['inputs'].cpu(), onnx)
        print(f'ONNX            {onnx}: {what}, differs by at most {difference:.3g}')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
