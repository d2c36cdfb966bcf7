"""The published ResNet-50 weights that have names: ST++ Table VI compares them."""

from __future__ import annotations

from dataclasses import dataclass

from mmengine.config import ConfigDict

from .traversal import short_name, type_name

__all__ = ['NAMED_WEIGHTS', 'NamedWeights', 'check_plain_resnet50']


@dataclass(frozen=True)
class NamedWeights:
    """Published weights of a plain ResNet-50.

    Attributes:
        source: A file, relative to the working directory, or a URL that mmengine downloads.
        remedy: How to get the file.
    """

    source: str
    remedy: str = ''

    @property
    def is_file(self) -> bool:
        """Tells whether ``source`` is a file."""
        return '://' not in self.source


NAMED_WEIGHTS = {
    'base': NamedWeights('torchvision://resnet50'),
    'tnr': NamedWeights('torchvision://resnet50.imagenet1k_v2'),
    'timm': NamedWeights(
        'checkpoints/resnet50_timm.pth',
        'download it with: curl -L --create-dirs -o checkpoints/resnet50_timm.pth '
        'https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights/'
        'resnet50_a1_0-14fe96d1.pth',
    ),
    'st': NamedWeights(
        'checkpoints/resnet50_st.pth',
        "convert the authors' release with: python tools/convert_checkpoint.py RELEASE "
        'checkpoints/resnet50_st.pth',
    ),
}


def check_plain_resnet50(backbone: ConfigDict, name: str) -> None:
    """Raises ValueError unless a backbone's config is that of the named weights."""
    wraps = backbone.wraps if type_name(backbone) == 'STBackbone' else backbone.type
    depth = backbone.get('depth', 50)
    style = backbone.get('style', 'pytorch')
    found = (short_name(wraps), depth, style)
    if found != ('ResNet', 50, 'pytorch'):
        raise ValueError(
            f"--weights {name} is for a backbone of type ResNet, depth 50, style 'pytorch', got "
            f'type {found[0]}, depth {depth}, style {style!r}; choose a config with that backbone, '
            'or give --weights a file that fits this one'
        )
