"""Where the residual blocks of the known backbones are: a table of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from .placeholder import Skip
from .stages import Block, Family, has_shortcut, is_additive, register_families, residual_stages

__all__ = ['FAMILIES', 'PARTS', 'Containers', 'Parts', 'Rule', 'Shortcuts', 'Wrapper']


@dataclass(frozen=True, kw_only=True)
class Rule(Family):
    """A rule for networks whose blocks all end alike.

    Attributes:
        additive: Whether blocks end with an addition.
    """

    additive: bool

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return self.additive


@dataclass(frozen=True)
class Containers(Rule):
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
class Shortcuts(Rule):
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


@dataclass(frozen=True)
class Wrapper(Family):
    """The stages are those of the network inside, which has a rule of its own.

    Attributes:
        path: Dotted name of the network.
    """

    path: str

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        return residual_stages(backbone.get_submodule(self.path))

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return is_additive(backbone.get_submodule(self.path))


@dataclass(frozen=True)
class Parts(Family):
    """timm's feature nets: the parts of a network, whose Python modules tell the rule.

    Part ``stages.0`` of the network is the child ``stages_0``.
    """

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        return self._rule(backbone).stages(backbone)

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return self._rule(backbone).is_additive(backbone)

    def _rule(self, net: nn.Module) -> Family:
        if hasattr(net, 'body'):  # a FeatureHookNet may leave the network whole
            return Wrapper('body')
        modules = {type(module).__module__ for module in net.modules()} - {type(net).__module__}
        parts = sorted(name for name in modules if name.startswith('timm.models.'))
        rules = {PARTS.get(name) for name in parts}
        rule = rules.pop() if len(rules) == 1 else None
        if rule is None:
            raise TypeError(
                'the residual stages of a timm model with features_only=True must be known: those '
                f'with parts of {", ".join(PARTS)}; got parts of {", ".join(parts) or "torch"}'
            )
        return rule


def _inverted_residuals(parent: nn.Module) -> Iterator[Block]:
    for name, child in parent.named_children():
        if isinstance(child, Skip) or has_shortcut(child) is not None:
            yield Block(parent, name)
        else:
            yield from _inverted_residuals(child)


_RESNET = Containers('layer[1-9]', additive=False)
_REGNET = Containers('s[1-9]', additive=False)  # timm's
_INVERTED = Shortcuts(additive=True)
_LAYERS = Containers('layers', additive=True)
_SWIN = Containers('stages.*.blocks', additive=True)
# A layer is (patch embedding, encoder layers, norm). PVTv1 has a position embedding before the
# encoder layers, in their container.
_PYRAMID = Containers('layers.*.1', without='pos_embed', additive=True)

# Subclasses are known, too: RegNet, ResNeXt, Res2Net and others have the layout of a ResNet.
FAMILIES: dict[str, Family] = {
    'mmdet.models.backbones.efficientnet.EfficientNet': _INVERTED,
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
    'mmpretrain.models.backbones.efficientnet.EfficientNet': _INVERTED,
    'mmpretrain.models.backbones.efficientnet_v2.EfficientNetV2': _INVERTED,
    'mmpretrain.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmpretrain.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmpretrain.models.backbones.resnet.ResNet': _RESNET,
    'mmpretrain.models.backbones.swin_transformer.SwinTransformer': _SWIN,
    # Large ones have a norm layer after the addition in some blocks.
    'mmpretrain.models.backbones.swin_transformer_v2.SwinTransformerV2': Containers(
        'stages.*.blocks', additive=False
    ),
    'mmpretrain.models.backbones.timm_backbone.TIMMBackbone': Wrapper('timm_model'),
    'mmpretrain.models.backbones.vision_transformer.VisionTransformer': _LAYERS,
    'mmseg.models.backbones.beit.BEiT': _LAYERS,
    'mmseg.models.backbones.mit.MixVisionTransformer': _PYRAMID,
    'mmseg.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmseg.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmseg.models.backbones.resnet.ResNet': _RESNET,
    'mmseg.models.backbones.swin.SwinTransformer': _SWIN,
    'mmseg.models.backbones.timm_backbone.TIMMBackbone': Wrapper('timm_model'),
    'mmseg.models.backbones.vit.VisionTransformer': _LAYERS,
    'timm.models._features.FeatureDictNet': Parts(),
    'timm.models._features.FeatureGetterNet': Wrapper('model'),
    'timm.models._features.FeatureHookNet': Parts(),
    'timm.models.convnext.ConvNeXt': _SWIN,
    'timm.models.efficientnet.EfficientNet': _INVERTED,
    'timm.models.efficientnet.EfficientNetFeatures': _INVERTED,
    'timm.models.mobilenetv3.MobileNetV3': _INVERTED,
    'timm.models.mobilenetv3.MobileNetV3Features': _INVERTED,
    'timm.models.regnet.RegNet': _REGNET,
    'timm.models.resnet.ResNet': _RESNET,
    'timm.models.swin_transformer.SwinTransformer': Containers('layers.*.blocks', additive=True),
    'timm.models.vision_transformer.VisionTransformer': Containers('blocks', additive=True),
    # The stem, a stage, what halves the resolution, a stage, ...
    'torchvision.models.convnext.ConvNeXt': Containers('features.[1357]', additive=True),
    'torchvision.models.efficientnet.EfficientNet': _INVERTED,
    'torchvision.models.mnasnet.MNASNet': _INVERTED,
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

PARTS: dict[str, Family] = {
    'timm.models._efficientnet_blocks': _INVERTED,
    'timm.models.convnext': Containers('stages_*.blocks', additive=True),
    'timm.models.regnet': _REGNET,
    'timm.models.res2net': _RESNET,
    'timm.models.resnest': _RESNET,
    'timm.models.resnet': _RESNET,
    'timm.models.sknet': _RESNET,
    'timm.models.swin_transformer': Containers('layers_*.blocks', additive=True),
}
"""Rule of a network that timm took apart, by the Python module of its parts."""

register_families(FAMILIES)
