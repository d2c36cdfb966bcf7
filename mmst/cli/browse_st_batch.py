"""Draws what a subnet sees beside what the main network sees, with the ground truth of both."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

import mmst.config as edit
from mmst.browse.batches import browse, prepare_browse
from mmst.engine import StimulativeHook

from . import options
from .command import run_command
from .data_files import check_data_files
from .errors import preparation
from .launch import build_runner, set_launcher
from .load import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser, 'config file of a stimulative training')
    parser.add_argument(
        '--out-dir', help='folder of the pictures; default: work_dirs/browse_st_batch/CONFIG'
    )
    parser.add_argument(
        '--num-batches',
        type=int,
        default=4,
        metavar='N',
        help='the first N batches of a training (default: %(default)s)',
    )
    options.add_seed(parser, default=0, help='seed of the training (default: %(default)s)')
    options.add_data(parser)
    options.add_cfg_options(parser, example='default_hooks.stimulative.num_subnets=3')


@preparation()
def prepare(args: argparse.Namespace) -> tuple[Config, StimulativeHook]:
    """Returns config and hook with all options applied, and checks them."""
    if args.num_batches < 1:
        raise ValueError(f'--num-batches must be at least 1, got {args.num_batches}')
    cfg = load(args, args.out_dir, scratch=False)
    edit.set_seed(cfg, args.seed)
    hook = prepare_browse(cfg)
    check_data_files(cfg, ('train_dataloader',))
    return set_launcher(cfg, 'none'), hook


def run(args: argparse.Namespace) -> None:
    """Writes the pictures."""
    args.out_dir = args.out_dir or str(Path('work_dirs/browse_st_batch') / Path(args.config).stem)
    cfg, hook = prepare(args)
    files = browse(build_runner(cfg), hook, args.num_batches, args.out_dir)
    print(f'{len(files)} pictures in {args.out_dir}')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
