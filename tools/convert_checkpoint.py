"""Converts a ResNet of any common layout to OpenMMLab's.

python tools/convert_checkpoint.py resnet50_a1_0-14fe96d1.pth checkpoints/
python tools/convert_checkpoint.py RELEASE checkpoints/resnet50_st.pth
python tools/convert_checkpoint.py model.safetensors checkpoints/resnet50.pth --to backbone
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmst.checkpoints import (
    LAYOUTS,
    TARGETS,
    ConvertedCheckpoint,
    convert_checkpoint,
    write_checkpoint,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    return parser.parse_args()


def report(converted: ConvertedCheckpoint, file: Path) -> None:
    print(f'layout: {converted.layout}')
    if len(converted.layouts) > 1:
        print('  (the same keys with the same meaning; --layout chooses what meta says)')
    backbone = ', '.join(f'{key}={value!r}' for key, value in converted.meta['backbone'].items())
    if converted.architecture.bottleneck and 'style' not in converted.meta['backbone']:
        print('  (where blocks stride is not told: of style pytorch, unless its config says caffe)')
    print(f'architecture: {converted.architecture.name}, backbone=dict({backbone})')
    if 'base_width' in converted.meta['backbone']:
        print('  (base_width is called width_per_group in mmpretrain and mmpose)')
    if converted.meta['norm_eps'] is None:
        print('  (epsilon of BatchNorm is not told: of 1e-5, unless its config says otherwise)')
    for reason in dict.fromkeys(converted.left_out.values()):
        names = [name for name, why in converted.left_out.items() if why == reason]
        print(f'left out: {", ".join(names)} ({reason})')
    print(f'to: {converted.to}')
    print(f'{file}: {len(converted.state_dict)} tensors, every key and shape checked')


def main() -> None:
    args = parse_args()
    try:
        if Path(args.dst).exists() and Path(args.src).resolve() == Path(args.dst).resolve():
            raise ValueError(f'DST must not be SRC itself, got {args.dst!r} for both')
        converted = convert_checkpoint(args.src, args.layout, args.to or 'auto', args.entry)
        file = write_checkpoint(
            {'meta': converted.meta, 'state_dict': converted.state_dict},
            args.dst,
            converted.architecture.file_name,
        )
    except (ValueError, OSError, RuntimeError, ImportError) as error:  # RuntimeError: disk full
        sys.exit(f'{type(error).__name__}: {" ".join(str(error).split())}')
    report(converted, file)


if __name__ == '__main__':
    main()
