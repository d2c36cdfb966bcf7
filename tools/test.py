"""Evaluates a checkpoint, or a subnet of it, with any config that tools/train.py takes.

python tools/test.py configs/faster_rcnn_r50_st.py work_dirs/faster_rcnn_r50_st/epoch_12.pth
python tools/test.py configs/faster_rcnn_r50_st.py CHECKPOINT --depths 2,3,4,2
"""

from __future__ import annotations

import argparse
import sys

from mmengine.config import Config, DictAction

from mmst import config as edit  # importing mmst registers everything
from mmst.checkpoints import safe_loading
from mmst.cli.launch import build_runner, set_launcher
from mmst.cli.output import OutputFiles, set_output
from mmst.subnets.evaluation import (
    check_recalibrate,
    parse_depths,
    prepare_subnet_test,
    run_subnet_test,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        help='checkpoint file or URL; for a classifier also base, tnr, timm or st, or a file of '
        'another library',
    )
    parser.add_argument('--work-dir', help='folder of logs')
    subnet = parser.add_argument_group('subnet')
    subnet.add_argument(
        '--depths', metavar='D1,D2,…', help='blocks to keep in each stage, e.g. 2,3,4,2'
    )
    subnet.add_argument(
        '--recalibrate',
        type=int,
        metavar='N',
        help='training batches to recompute norm statistics of the subnet from (default: 100 if '
        'norm layers were trained live, else 0)',
    )
    data = parser.add_argument_group('data')
    data.add_argument('--data-root', help='folder with the same layout as the data of the config')
    data.add_argument('--mini', action='store_true', help='generated data, small images')
    data.add_argument('--no-pin-memory', action='store_true')
    data.add_argument('--no-persistent-workers', action='store_true')
    run = parser.add_argument_group('run')
    run.add_argument('--amp', action='store_true', help='mixed precision')
    run.add_argument('--tta', action='store_true', help='test-time augmentation')
    run.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config; before them come --mini and --data-root, after them all other '
        'options',
    )
    run.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    run.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    out = parser.add_argument_group('results')
    out.add_argument(
        '--out', help='predictions (.pkl), metrics (.json, .yaml), or a folder for mmseg'
    )
    out.add_argument(
        '--out-item', choices=['metrics', 'pred'], help='what --out writes, against its ending'
    )
    out.add_argument('--dump', metavar='FILE.pkl', help='predictions')
    out.add_argument('--show', action='store_true', help='draw predictions in windows')
    out.add_argument('--show-dir', help='draw predictions into a folder')
    out.add_argument('--interval', type=int, default=1, help='draw every n-th sample')
    out.add_argument('--wait-time', type=float, default=2, help='seconds per window')
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> tuple[Config, OutputFiles]:
    """Returns the config with all options applied; whatever can be wrong is an error here."""
    cfg = edit.load_config(args.config)
    if args.mini:
        edit.apply_mini(cfg, args.data_root)
        edit.set_weights(cfg, 'none')  # as in training: norm layers are live
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
    edit.check_data_files(cfg, ('test_dataloader',))
    output = set_output(cfg, args.out, args.out_item, args.dump)
    edit.set_checkpoint(cfg, args.checkpoint)
    if args.tta:
        edit.enable_tta(cfg)  # puts another model around
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
        cfg, output = prepare(args)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    with safe_loading(args.checkpoint):
        runner = build_runner(cfg)
        output.register(runner, cfg)
        if args.depths is not None:
            metrics = run_subnet_test(runner, args.depths, args.recalibrate)
        else:
            metrics = runner.test()
    output.write(metrics)


if __name__ == '__main__':
    main()
