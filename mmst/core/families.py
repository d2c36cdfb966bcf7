"""Where the residual blocks of the known backbones are: a table of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from .placeholder import Skip
from .stages import Block, Family, has_shortcut, register_families

__all__ = ['FAMILIES', 'Containers', 'Shortcuts']


@dataclass(frozen=True)
class Containers(Family):
    """Each stage is a module whose children are the blocks.

    Attributes:
        path: Dotted name of these modules, with wildcards: ``'stages.*.blocks'``.
        without: Children with an attribute of this name are no blocks.
    """

    path: str
    without: str = ''

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        containers = [backbone]
        for pattern in self.path.split('.'):
            children = [child for parent in containers for child in parent.named_children()]
            containers = [child for name, child in children if fnmatchcase(name, pattern)]
        return [
            [
                Block(container, name)
                for name, child in container.named_children()
                if not (self.without and hasattr(child, self.without))
            ]
            for container in containers
        ]


@dataclass(frozen=True)
class Shortcuts(Family):
    """A stage begins at each inverted residual block without a shortcut.

    The blocks are those modules, however deep, that say whether they have one.
    """

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        stages: list[list[Block]] = []
        for block in _inverted_residuals(backbone):
            if not stages or has_shortcut(block.module) is False:
                stages.append([])
            stages[-1].append(block)
        return stages


def _inverted_residuals(parent: nn.Module) -> Iterator[Block]:
    for name, child in parent.named_children():
        if isinstance(child, Skip) or has_shortcut(child) is not None:
            yield Block(parent, name)
        else:
            yield from _inverted_residuals(child)


_RESNET = Containers('layer[1-9]', additive=False)
_INVERTED = Shortcuts(additive=True)
_LAYERS = Containers('layers', additive=True)
_SWIN = Containers('stages.*.blocks', additive=True)
# A layer is (patch embedding, encoder layers, norm). PVTv1 has a position embedding before the
# encoder layers, in their container.
_PYRAMID = Containers('layers.*.1', without='pos_embed', additive=True)

# Subclasses are known, too: RegNet, ResNeXt, Res2Net and others have the layout of a ResNet.
FAMILIES: dict[str, Family] = {
    'mmdet.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmdet.models.backbones.pvt.PyramidVisionTransformer': _PYRAMID,
    'mmdet.models.backbones.resnet.ResNet': _RESNET,
    'mmdet.models.backbones.swin.SwinTransformer': _SWIN,
    'mmpose.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmpose.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmpose.models.backbones.pvt.PyramidVisionTransformer': _PYRAMID,
    'mmpose.models.backbones.resnet.ResNet': _RESNET,
    'mmpose.models.backbones.swin.SwinTransformer': _SWIN,
    'mmpretrain.models.backbones.beit.BEiTViT': _LAYERS,
    'mmpretrain.models.backbones.convnext.ConvNeXt': Containers('stages.*', additive=True),
    'mmpretrain.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmpretrain.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmpretrain.models.backbones.resnet.ResNet': _RESNET,
    'mmpretrain.models.backbones.swin_transformer.SwinTransformer': _SWIN,
    # Large ones have a norm layer after the addition in some blocks.
    'mmpretrain.models.backbones.swin_transformer_v2.SwinTransformerV2': Containers(
        'stages.*.blocks', additive=False
    ),
    'mmpretrain.models.backbones.vision_transformer.VisionTransformer': _LAYERS,
    'mmseg.models.backbones.beit.BEiT': _LAYERS,
    'mmseg.models.backbones.mit.MixVisionTransformer': _PYRAMID,
    'mmseg.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmseg.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmseg.models.backbones.resnet.ResNet': _RESNET,
    'mmseg.models.backbones.swin.SwinTransformer': _SWIN,
    'mmseg.models.backbones.vit.VisionTransformer': _LAYERS,
    'timm.models.convnext.ConvNeXt': _SWIN,
    'timm.models.resnet.ResNet': _RESNET,
    'timm.models.swin_transformer.SwinTransformer': Containers('layers.*.blocks', additive=True),
    'timm.models.vision_transformer.VisionTransformer': Containers('blocks', additive=True),
    # The stem, a stage, what halves the resolution, a stage, ...
    'torchvision.models.convnext.ConvNeXt': Containers('features.[1357]', additive=True),
    'torchvision.models.mobilenetv2.MobileNetV2': _INVERTED,
    'torchvision.models.mobilenetv3.MobileNetV3': _INVERTED,
    'torchvision.models.regnet.RegNet': Containers('trunk_output.*', additive=False),
    'torchvision.models.resnet.ResNet': _RESNET,
    'torchvision.models.swin_transformer.SwinTransformer': Containers(
        'features.[1357]', additive=True
    ),
    'torchvision.models.vision_transformer.VisionTransformer': Containers(
        'encoder.layers', additive=True
    ),
}
"""Rule of each known class, by its dotted name; :data:`mmst.analysis.backbones.EXAMPLES` has one
model of each."""

register_families(FAMILIES)
