"""Where the residual blocks of the known backbones are: one function per family.

The first line of each docstring stands in the table of ``docs/backbones.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from .placeholder import Skip
from .stages import Block, register_residual_stages

__all__: list[str] = []

SHORTCUT_FLAGS = ('with_res_shortcut', 'use_res_connect')
"""Names under which inverted residual blocks say whether they have a shortcut."""


@register_residual_stages(
    'mmdet.models.backbones.resnet.ResNet',
    'mmseg.models.backbones.resnet.ResNet',
    'mmpose.models.backbones.resnet.ResNet',
    'mmpretrain.models.backbones.resnet.ResNet',
    'torchvision.models.resnet.ResNet',
    'timm.models.resnet.ResNet',
)
def _resnet(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    # RegNet, ResNeXt, Res2Net and others inherit the layout: `layer1`, `layer2`, ...
    layers = (getattr(backbone, f'layer{number}', None) for number in range(1, 10))
    return [_children(layer) for layer in layers if layer is not None]


@register_residual_stages('torchvision.models.regnet.RegNet')
def _torchvision_regnet(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    return [_children(stage) for stage in backbone.get_submodule('trunk_output').children()]


@register_residual_stages(
    'mmdet.models.backbones.mobilenet_v2.MobileNetV2',
    'mmseg.models.backbones.mobilenet_v2.MobileNetV2',
    'mmpose.models.backbones.mobilenet_v2.MobileNetV2',
    'mmpretrain.models.backbones.mobilenet_v2.MobileNetV2',
    additive=True,
)
def _mobilenet_v2(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage begins at every block without a shortcut."""
    layers = [block.module for block in _children(backbone) if block.name.startswith('layer')]
    return _from_shortcuts(block for layer in layers for block in _children(layer))


@register_residual_stages(
    'mmseg.models.backbones.mobilenet_v3.MobileNetV3',
    'mmpose.models.backbones.mobilenet_v3.MobileNetV3',
    'mmpretrain.models.backbones.mobilenet_v3.MobileNetV3',
    additive=True,
)
def _mobilenet_v3(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage begins at every block without a shortcut."""
    return _from_shortcuts(_children(backbone))


@register_residual_stages(
    'torchvision.models.mobilenetv2.MobileNetV2',
    'torchvision.models.mobilenetv3.MobileNetV3',
    additive=True,
)
def _torchvision_mobilenet(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage begins at every block without a shortcut."""
    return _from_shortcuts(_children(backbone.get_submodule('features')))


@register_residual_stages(
    'mmpretrain.models.backbones.vision_transformer.VisionTransformer',
    'mmpretrain.models.backbones.beit.BEiTViT',
    'mmseg.models.backbones.vit.VisionTransformer',
    'mmseg.models.backbones.beit.BEiT',
    additive=True,
)
def _vision_transformer(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """All layers are one stage."""
    return [_children(backbone.get_submodule('layers'))]


@register_residual_stages('torchvision.models.vision_transformer.VisionTransformer', additive=True)
def _torchvision_vision_transformer(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """All layers are one stage."""
    return [_children(backbone.get_submodule('encoder.layers'))]


@register_residual_stages('timm.models.vision_transformer.VisionTransformer', additive=True)
def _timm_vision_transformer(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """All layers are one stage."""
    return [_children(backbone.get_submodule('blocks'))]


# Large Swin V2s have a norm layer after the addition in some blocks.
@register_residual_stages('mmpretrain.models.backbones.swin_transformer_v2.SwinTransformerV2')
@register_residual_stages(
    'mmdet.models.backbones.swin.SwinTransformer',
    'mmseg.models.backbones.swin.SwinTransformer',
    'mmpose.models.backbones.swin.SwinTransformer',
    'mmpretrain.models.backbones.swin_transformer.SwinTransformer',
    'timm.models.convnext.ConvNeXt',
    additive=True,
)
def _blocks_of_stages(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    stages = backbone.get_submodule('stages').children()
    return [_children(stage.get_submodule('blocks')) for stage in stages]


@register_residual_stages('timm.models.swin_transformer.SwinTransformer', additive=True)
def _timm_swin(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    stages = backbone.get_submodule('layers').children()
    return [_children(stage.get_submodule('blocks')) for stage in stages]


@register_residual_stages('mmpretrain.models.backbones.convnext.ConvNeXt', additive=True)
def _convnext(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    return [_children(stage) for stage in backbone.get_submodule('stages').children()]


@register_residual_stages(
    'torchvision.models.convnext.ConvNeXt',
    'torchvision.models.swin_transformer.SwinTransformer',
    additive=True,
)
def _every_other_feature(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    # The stem, a stage, what halves the resolution, a stage, ...
    return [_children(stage) for stage in list(backbone.get_submodule('features').children())[1::2]]


@register_residual_stages(
    'mmdet.models.backbones.pvt.PyramidVisionTransformer',
    'mmpose.models.backbones.pvt.PyramidVisionTransformer',
    'mmseg.models.backbones.mit.MixVisionTransformer',
    additive=True,
)
def _pyramid_transformer(backbone: nn.Module) -> Sequence[Sequence[Block]]:
    """A stage is a stage of the network."""
    # A layer is (patch embedding, encoder layers, norm). PVTv1 has a position embedding before the
    # encoder layers, in their container.
    layers = [layer.get_submodule('1') for layer in backbone.get_submodule('layers').children()]
    return [
        [block for block in _children(layer) if not hasattr(block.module, 'pos_embed')]
        for layer in layers
    ]


def _children(container: nn.Module) -> list[Block]:
    return [Block(container, name) for name, _ in container.named_children()]


def _from_shortcuts(blocks: Iterable[Block]) -> list[list[Block]]:
    """Groups inverted residual blocks, dropping what else there is (stem, last convolution)."""
    stages: list[list[Block]] = []
    for block in blocks:
        flags = [getattr(block.module, flag, None) for flag in SHORTCUT_FLAGS]
        if False in flags or (True in flags and not stages):
            stages.append([])
        if False in flags or True in flags or isinstance(block.module, Skip):
            stages[-1].append(block)
    return stages
