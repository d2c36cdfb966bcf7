"""Trains a small detector on generated images with stimulative training, and shows the result.

Runs `tools/train.py CONFIG --mini --seed 0` and leaves in the work dir the checkpoint, the log,
`loss_curves.png` and `detections.png`. It always trains again: results of an earlier demo, finished
or interrupted, are removed first. `--report` draws and prints a finished demo again, without
training.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from mmst.analysis.curves import plot_losses
from mmst.analysis.run_log import RunLog, read_run_log
from mmst.browse.detections import detect, detection_column
from mmst.browse.sheet import compose_sheet, write_sheet

from .checkout import REPO, TOOLS
from .command import run_command
from .errors import preparation

MARKER = 'demo.json'  # tells a work dir that the demo made, and may empty, from any other


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('--config', type=Path, default=REPO / 'configs/faster_rcnn_r50_st.py')
    parser.add_argument('--work-dir', type=Path, default=REPO / 'work_dirs/demo')
    parser.add_argument(
        '--max-iters', type=int, metavar='N', help='length of the training; default: that of --mini'
    )
    parser.add_argument(
        '--report', action='store_true', help='no training: draw and print a finished demo again'
    )


def start_afresh(work_dir: Path, command: list[str]) -> None:
    """Empties the work dir of an earlier demo and marks it as the demo's."""
    marker = work_dir / MARKER
    if work_dir.exists() and any(work_dir.iterdir()) and not marker.exists():
        raise FileExistsError(
            f'{work_dir} holds files that the demo did not make and will not remove; choose '
            'another --work-dir'
        )
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    marker.write_text(json.dumps({'command': command, 'finished': False}, indent=2))


def train(args: argparse.Namespace) -> None:
    """Runs the training script; marks the work dir as finished when it is."""
    command = [sys.executable, str(TOOLS / 'train.py'), str(args.config), '--mini']
    command += ['--seed', '0', '--work-dir', str(args.work_dir)]
    if args.max_iters is not None:
        command += ['--max-iters', str(args.max_iters)]
    start_afresh(args.work_dir, command)
    print('running', *command, flush=True)
    status = subprocess.run(command, cwd=REPO).returncode
    if status != 0:
        raise RuntimeError(
            f'the training ended with exit status {status}; its messages are above, its log is in '
            f'{args.work_dir}'
        )
    (args.work_dir / MARKER).write_text(
        json.dumps({'command': command, 'finished': True}, indent=2)
    )


def report(work_dir: Path, config_name: str) -> None:
    """Draws the pictures of a finished demo, and prints the paths."""
    marker = work_dir / MARKER
    if not marker.exists() or not json.loads(marker.read_text())['finished']:
        raise FileNotFoundError(f'{work_dir} holds no finished demo; run it without --report')
    log = read_run_log(work_dir)
    curves, pictures = work_dir / 'loss_curves.png', work_dir / 'detections.png'
    plot_losses(log, curves)
    checkpoint = find_latest_checkpoint(str(work_dir))
    cfg = Config.fromfile(work_dir / config_name)
    samples, metainfo = detect(cfg, checkpoint, num_images=4)
    columns = [detection_column(sample, metainfo) for sample in samples]
    write_sheet(compose_sheet(columns), pictures)
    print(f'checkpoint      {checkpoint}')
    print(f'log             {next(work_dir.glob("*/*.log"))}')
    print(f'loss curves     {curves}')
    print(f'detections      {pictures}')
    print(f'COCO bbox mAP   {_describe_map(log)}')


def _describe_map(log: RunLog) -> str:
    validations = [line for line in log.validation.values() if 'coco/bbox_mAP' in line]
    if not validations:  # mmdet computes no mAP from no detections at all
        return 'none: nothing was detected; train longer (--max-iters)'
    last = validations[-1]
    return (
        f'{last["coco/bbox_mAP"]:.3f} (at IoU 0.5: {last["coco/bbox_mAP_50"]:.3f}), full network, '
        'validation images'
    )


@preparation()
def run(args: argparse.Namespace) -> None:
    """Trains, unless told otherwise, and reports."""
    args.config, args.work_dir = args.config.resolve(), args.work_dir.resolve()
    if not args.report:
        train(args)
    report(args.work_dir, args.config.name)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
