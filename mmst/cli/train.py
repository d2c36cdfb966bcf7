"""Trains any config of mmdet, mmsegmentation, mmpose, mmpretrain or plain mmengine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.config import Config

import mmst.config as edit
from mmst.checkpoints import check_checkpoint, check_pretrained
from mmst.config.named_weights import NAMED_WEIGHTS

from . import options
from .command import run_command
from .data_files import check_data_files
from .errors import preparation
from .launch import build_runner, set_launcher
from .load import draw_predictions, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser)
    options.add_work_dir(parser, 'folder of logs and checkpoints')
    start = parser.add_argument_group('start')
    start.add_argument(
        '--weights',
        metavar='NAME|PATH',
        help=f'initial weights of the backbone: {", ".join(NAMED_WEIGHTS)}, none (train from '
        'scratch), or a file',
    )
    start.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='continue from a checkpoint, by default the latest one in the work dir',
    )
    options.add_seed(start)
    data = parser.add_argument_group('data')
    options.add_data(data, mini='generated data, small images, a short schedule')
    options.add_loading(data)
    run = parser.add_argument_group('run')
    run.add_argument(
        '--max-iters', type=int, metavar='N', help='scale the schedule to N iterations'
    )
    options.add_amp(run)
    run.add_argument(
        '--auto-scale-lr', action='store_true', help='learning rate follows the total batch size'
    )
    run.add_argument('--no-validate', action='store_true')
    options.add_eval_subnets(run)
    options.add_cfg_options(run, example='model.backbone.with_cp=True', others=True)
    options.add_launcher(run)
    show = parser.add_argument_group('drawn predictions of validations')
    options.add_show(show, what='', interval='of every n-th sample', wait_time=1)


@preparation()
def prepare(args: argparse.Namespace) -> Config:
    """Returns the config with all options applied, and checks it."""
    cfg = load(args, args.work_dir, scratch=args.weights is None)
    _apply_options(cfg, args)
    edit.make_resumable(cfg)
    loaders = ('train_dataloader',) if args.no_validate else ('train_dataloader', 'val_dataloader')
    check_data_files(cfg, loaders)
    check_checkpoint(cfg)
    check_pretrained(cfg)
    return set_launcher(cfg, args.launcher, args.local_rank)


def run(args: argparse.Namespace) -> None:
    """Trains."""
    build_runner(prepare(args)).train()


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)


def _apply_options(cfg: Config, args: argparse.Namespace) -> None:
    if args.weights is not None:
        edit.set_weights(cfg, args.weights)
    if args.max_iters is not None:
        edit.set_max_iters(cfg, args.max_iters)
    if args.seed is not None:
        edit.set_seed(cfg, args.seed)
    if args.resume is not None:
        edit.set_resume(cfg, args.resume)
    if args.amp:
        edit.enable_amp(cfg)
    if args.auto_scale_lr:
        edit.enable_auto_scale_lr(cfg)
    if args.no_validate:
        edit.disable_validation(cfg)
    if args.eval_subnets is not None:
        edit.set_subnet_eval(cfg, args.eval_subnets)
    draw_predictions(cfg, args)
