"""Draws what a subnet sees beside what the main network sees, with the ground truth of both.

python tools/browse_st_batch.py configs/mask_rcnn_r50_st.py --mini
python tools/browse_st_batch.py configs/mask_rcnn_r50_st.py --data-root D --num-batches 8 --seed 1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction

from mmst import StimulativeHook
from mmst import config as edit  # importing mmst registers everything
from mmst.browse.batches import browse, prepare_browse
from mmst.cli.launch import build_runner, set_launcher


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file of a stimulative training')
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
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the training (default: %(default)s)'
    )
    parser.add_argument('--data-root', help='folder with the same layout as the data of the config')
    parser.add_argument('--mini', action='store_true', help='generated data, small images')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config, e.g. default_hooks.stimulative.num_subnets=3; before them '
        'come --mini and --data-root',
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> tuple[Config, StimulativeHook]:
    """Returns config and hook with all options applied; whatever can be wrong is an error here."""
    if args.num_batches < 1:
        raise ValueError(f'--num-batches must be at least 1, got {args.num_batches}')
    cfg = edit.load_config(args.config)
    if args.mini:
        edit.apply_mini(cfg, args.data_root)
    elif args.data_root is not None:
        edit.set_data_root(cfg, args.data_root)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    edit.apply_library_defaults(cfg, persistent_workers=False)
    edit.set_seed(cfg, args.seed)
    hook = prepare_browse(cfg)
    edit.check_data_files(cfg, ('train_dataloader',))
    cfg.work_dir = args.out_dir
    return set_launcher(cfg, 'none'), hook


def main() -> None:
    args = parse_args()
    args.out_dir = args.out_dir or str(Path('work_dirs/browse_st_batch') / Path(args.config).stem)
    try:
        cfg, hook = prepare(args)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    files = browse(build_runner(cfg), hook, args.num_batches, args.out_dir)
    print(f'{len(files)} pictures in {args.out_dir}')


if __name__ == '__main__':
    main()
