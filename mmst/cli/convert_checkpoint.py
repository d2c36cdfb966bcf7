"""Converts a ResNet of any common layout to OpenMMLab's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmst.checkpoints import (
    LAYOUTS,
    TARGETS,
    ConvertedCheckpoint,
    convert_checkpoint,
    write_checkpoint,
)

from .command import run_command
from .errors import preparation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('src', help='.pth, .pt, .tar, .bin or .safetensors')
    parser.add_argument('dst', help='file to write, or a folder for a name with a hash')
    parser.add_argument(
        '--layout',
        choices=['auto', *LAYOUTS],
        default='auto',
        help="layout of SRC; reference is the authors' release; default: found by its keys",
    )
    parser.add_argument(
        '--to',
        choices=TARGETS,
        help='bare backbone, or mmpretrain classifier; default: mmpretrain if SRC has a linear '
        'layer, else backbone',
    )
    parser.add_argument('--entry', help='entry of SRC with the weights, where it has several')


def report(converted: ConvertedCheckpoint, file: Path) -> None:
    """Prints a summary of the conversion."""
    print(f'layout: {converted.layout}')
    if len(converted.layouts) > 1:
        print('  (the same keys with the same meaning; --layout chooses what meta says)')
    backbone = ', '.join(f'{key}={value!r}' for key, value in converted.meta['backbone'].items())
    if converted.architecture.bottleneck and 'style' not in converted.meta['backbone']:
        print('  (unknown place of strides in blocks: style pytorch, unless its config says caffe)')
    print(f'architecture: {converted.architecture.name}, backbone=dict({backbone})')
    if 'base_width' in converted.meta['backbone']:
        print('  (base_width is called width_per_group in mmpretrain and mmpose)')
    if converted.meta['norm_eps'] is None:
        print('  (unknown epsilon of BatchNorm: 1e-5, unless its config says otherwise)')
    for reason in dict.fromkeys(converted.left_out.values()):
        names = [name for name, why in converted.left_out.items() if why == reason]
        print(f'left out: {", ".join(names)} ({reason})')
    print(f'to: {converted.to}')
    print(f'{file}: {len(converted.state_dict)} tensors, every key and shape checked')


@preparation()
def run(args: argparse.Namespace) -> None:
    """Converts a file."""
    if Path(args.dst).exists() and Path(args.src).resolve() == Path(args.dst).resolve():
        raise ValueError(f'DST must not be SRC itself, got {args.dst!r} for both')
    converted = convert_checkpoint(args.src, args.layout, args.to or 'auto', args.entry)
    file = write_checkpoint(
        {'meta': converted.meta, 'state_dict': converted.state_dict},
        args.dst,
        converted.architecture.file_name,
    )
    report(converted, file)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
