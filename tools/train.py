"""Trains any config of mmdet, mmsegmentation, mmpose, mmpretrain or plain mmengine.

python tools/train.py configs/faster_rcnn_r50_st.py --weights st
python tools/train.py configs/faster_rcnn_r50_st.py --mini
tools/dist_train.sh configs/faster_rcnn_r50_st.py 8 --weights st
"""

from __future__ import annotations

import argparse
import sys

from mmengine.config import Config, DictAction

from mmst import config as edit  # importing mmst registers everything
from mmst.checkpoints import check_checkpoint, check_pretrained, safe_loading
from mmst.cli.launch import build_runner, set_launcher


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    start = parser.add_argument_group('start')
    start.add_argument(
        '--weights',
        metavar='NAME|PATH',
        help=f'initial weights of the backbone: {", ".join(edit.NAMED_WEIGHTS)}, none (train from '
        'scratch), or a file',
    )
    start.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='continue from a checkpoint, by default the latest one in the work dir',
    )
    start.add_argument('--seed', type=int)
    data = parser.add_argument_group('data')
    data.add_argument('--data-root', help='folder with the same layout as the data of the config')
    data.add_argument(
        '--mini', action='store_true', help='generated data, small images, a short schedule'
    )
    data.add_argument('--no-pin-memory', action='store_true')
    data.add_argument('--no-persistent-workers', action='store_true')
    run = parser.add_argument_group('run')
    run.add_argument(
        '--max-iters', type=int, metavar='N', help='scale the schedule to N iterations'
    )
    run.add_argument('--amp', action='store_true', help='mixed precision')
    run.add_argument(
        '--auto-scale-lr', action='store_true', help='learning rate follows the total batch size'
    )
    run.add_argument('--no-validate', action='store_true')
    run.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config, e.g. model.backbone.with_cp=True; before them come --mini and '
        '--data-root, after them all other options',
    )
    run.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    run.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    show = parser.add_argument_group('drawn predictions of validations')
    show.add_argument('--show', action='store_true', help='in windows')
    show.add_argument('--show-dir', help='into a folder')
    show.add_argument('--interval', type=int, default=1, help='of every n-th sample')
    show.add_argument('--wait-time', type=float, default=1, help='seconds per window')
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Config:
    """Returns the config with all options applied; whatever can be wrong is an error here."""
    cfg = edit.load_config(args.config)
    if args.mini:
        edit.apply_mini(cfg, args.data_root)
        if args.weights is None:
            edit.set_weights(cfg, 'none')
    elif args.data_root is not None:
        edit.set_data_root(cfg, args.data_root)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    edit.set_work_dir(cfg, args.work_dir, args.config)
    edit.apply_library_defaults(
        cfg,
        pin_memory=not args.no_pin_memory,
        persistent_workers=not args.no_persistent_workers,
    )
    _apply_options(cfg, args)
    edit.make_resumable(cfg)
    loaders = ('train_dataloader',) if args.no_validate else ('train_dataloader', 'val_dataloader')
    edit.check_data_files(cfg, loaders)
    check_checkpoint(cfg)
    check_pretrained(cfg)
    return set_launcher(cfg, args.launcher, args.local_rank)


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
    if args.show or args.show_dir:
        edit.set_visualization(
            cfg,
            show=args.show,
            show_dir=args.show_dir,
            wait_time=args.wait_time,
            interval=args.interval,
        )


def main() -> None:
    args = parse_args()
    try:
        cfg = prepare(args)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    with safe_loading('named by load_from or init_cfg'):
        build_runner(cfg).train()


if __name__ == '__main__':
    main()
