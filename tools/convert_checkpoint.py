"""Converts the authors' released ImageNet checkpoint for --weights and for mmpretrain.

python tools/convert_checkpoint.py RELEASE checkpoints/resnet50_st.pth
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmst.checkpoints import load_checkpoint
from mmst.checkpoints.reference_layout import is_reference_layout, to_mmpretrain


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', help="checkpoint in the layout of the authors' release")
    parser.add_argument('dst', help='file to write: an mmpretrain image classifier')
    return parser.parse_args()


def convert(src: str) -> dict:
    checkpoint = load_checkpoint(src)
    state_dict = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else {}
    if not is_reference_layout(state_dict):
        raise ValueError(
            f"SRC must be in the layout of the authors' release, with a key 'features.0.0.weight', "
            f'got {src!r} with the keys {list(state_dict)[:3]}; files in the layout of OpenMMLab '
            'or torchvision need no conversion: --weights reads them'
        )
    return {'meta': {'source': Path(src).name}, 'state_dict': to_mmpretrain(state_dict)}


def save(checkpoint: dict, dst: Path) -> None:
    """Writes a checkpoint whole or not at all."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    partial = dst.with_name(dst.name + '.partial')
    try:
        torch.save(checkpoint, partial)
        partial.replace(dst)
    finally:
        partial.unlink(missing_ok=True)


def main() -> None:
    args = parse_args()
    try:
        checkpoint = convert(args.src)
        save(checkpoint, Path(args.dst))
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{args.dst}: {len(checkpoint["state_dict"])} tensors of an mmpretrain ImageClassifier')


if __name__ == '__main__':
    main()
