"""Evaluates a checkpoint, or a subnet of it, with any config that tools/train.py takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.config import Config

import mmst.config as edit
from mmst.subnets.evaluation import (
    check_recalibrate,
    parse_depths,
    prepare_subnet_test,
    run_subnet_test,
)

from . import options
from .command import run_command
from .data_files import check_data_files
from .errors import preparation
from .launch import build_runner, set_launcher
from .load import draw_predictions, load
from .output import OutputFiles, set_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser)
    parser.add_argument(
        'checkpoint',
        help='checkpoint file or URL; for a classifier also base, tnr, timm or st, or a file of '
        'another library',
    )
    options.add_work_dir(parser, 'folder of logs')
    subnet = parser.add_argument_group('subnet')
    options.add_depths(subnet)
    options.add_recalibrate(subnet)
    data = parser.add_argument_group('data')
    options.add_data(data)
    options.add_loading(data)
    run = parser.add_argument_group('run')
    options.add_amp(run)
    run.add_argument('--tta', action='store_true', help='test-time augmentation')
    options.add_cfg_options(run, others=True)
    options.add_launcher(run)
    out = parser.add_argument_group('results')
    out.add_argument(
        '--out', help='predictions (.pkl), metrics (.json, .yaml), or a folder for mmseg'
    )
    out.add_argument(
        '--out-item', choices=['metrics', 'pred'], help='what --out writes, against its ending'
    )
    out.add_argument('--dump', metavar='FILE.pkl', help='predictions')
    options.add_show(out, what='draw predictions ', interval='draw every n-th sample', wait_time=2)


@preparation()
def prepare(args: argparse.Namespace) -> tuple[Config, OutputFiles]:
    """Returns the config with all options applied, and checks it."""
    cfg = load(args, args.work_dir)
    _apply_options(cfg, args)
    check_data_files(cfg, ('test_dataloader',))
    output = set_output(cfg, args.out, args.out_item, args.dump)
    edit.set_checkpoint(cfg, args.checkpoint)
    if args.tta:
        edit.enable_tta(cfg)  # wraps the model
    return set_launcher(cfg, args.launcher, args.local_rank), output


def _apply_options(cfg: Config, args: argparse.Namespace) -> None:
    if args.depths is not None:
        args.depths = parse_depths(args.depths)
        check_recalibrate(args.recalibrate)
        prepare_subnet_test(cfg)
    elif args.recalibrate is not None:
        raise ValueError('--recalibrate needs --depths: the full network has its own statistics')
    if args.amp:
        cfg.test_cfg.fp16 = True
    draw_predictions(cfg, args)


def run(args: argparse.Namespace) -> None:
    """Tests."""
    cfg, output = prepare(args)
    runner = build_runner(cfg)
    output.register(runner, cfg)
    if args.depths is not None:
        metrics = run_subnet_test(runner, args.depths, args.recalibrate)
    else:
        metrics = runner.test()
    output.write(metrics)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
