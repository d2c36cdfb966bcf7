"""Table of rules: the places of the residual blocks in known backbones.

Keys are dotted class names. Subclasses are known, too: RegNet, ResNeXt, Res2Net and others have the
layout of a ResNet.
"""

from __future__ import annotations

from dataclasses import replace

from .rules import Containers, Parts, Shortcuts, Wrapper
from .stages import Family, register_families

__all__ = ['FAMILIES']

_ONE = 'All layers are one stage.'

_RESNET = Containers('layer[1-9]', additive=False)
_INVERTED = Shortcuts(additive=True, note='A stage begins at every block without a shortcut.')
_LAYERS = Containers('layers', additive=True, note=_ONE)
_BLOCKS = Containers('blocks', additive=True, note=_ONE)
_STAGES = Containers('stages.*.blocks', additive=True)
# A layer is (patch embedding, encoder layers, norm). PVTv1 has a position embedding before the
# encoder layers, in their container.
_PYRAMID = Containers('layers.*.1', kind='*EncoderLayer', additive=True)
_STAGES_OF_BLOCKS = Containers('stages.*', additive=True)
# HRFormer is a subclass.
_HRNET = Containers(
    'layer1 stage[2-9].*.branches.*',
    additive=False,
    note='A stage is a branch of a module.',
)
_CSP = Containers('stage[1-9].*.blocks', additive=True)
# The first unit of a stage halves the resolution.
_SHUFFLE = Containers('layers.*', kind='ShuffleUnit', additive=False)
_META = Containers('network.*', kind='*FormerBlock', additive=True)

_OPENMMLAB: dict[str, Family] = {
    'mmdet.models.backbones.csp_darknet.CSPDarknet': _CSP,
    'mmdet.models.backbones.cspnext.CSPNeXt': _CSP,
    'mmdet.models.backbones.darknet.Darknet': Containers(
        'conv_res_block[1-9]', kind='ResBlock', additive=True
    ),
    'mmdet.models.backbones.efficientnet.EfficientNet': _INVERTED,
    'mmdet.models.backbones.hrnet.HRNet': _HRNET,
    'mmdet.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmdet.models.backbones.pvt.PyramidVisionTransformer': _PYRAMID,
    'mmdet.models.backbones.resnet.ResNet': _RESNET,
    'mmdet.models.backbones.swin.SwinTransformer': _STAGES,
    'mmpose.models.backbones.csp_darknet.CSPDarknet': _CSP,
    'mmpose.models.backbones.cspnext.CSPNeXt': _CSP,
    'mmpose.models.backbones.hrnet.HRNet': _HRNET,
    'mmpose.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmpose.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmpose.models.backbones.mspn.MSPN': Containers(
        'multi_stage_mspn.*.downsample.layer[1-9]', additive=False
    ),
    'mmpose.models.backbones.pvt.PyramidVisionTransformer': _PYRAMID,
    'mmpose.models.backbones.resnet.ResNet': _RESNET,
    'mmpose.models.backbones.rsn.RSN': Containers(
        'multi_stage_rsn.*.downsample.layer[1-9]', additive=False
    ),
    'mmpose.models.backbones.shufflenet_v1.ShuffleNetV1': _SHUFFLE,
    'mmpose.models.backbones.swin.SwinTransformer': _STAGES,
    'mmpose.models.backbones.vipnas_mbv3.ViPNAS_MobileNetV3': _INVERTED,
    'mmpose.models.backbones.vipnas_resnet.ViPNAS_ResNet': _RESNET,
    'mmpretrain.models.backbones.beit.BEiTViT': _LAYERS,
    'mmpretrain.models.backbones.conformer.Conformer': Containers(
        '',
        kind='ConvTransBlock',
        starts='cnn_block.with_residual_conv last_fusion',
        num_states=2,
        additive=False,
        note='A stage begins where the map shrinks.',
    ),
    'mmpretrain.models.backbones.convnext.ConvNeXt': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.cspnet.CSPDarkNet': _STAGES,
    # Of CSPResNet and CSPResNeXt an activation follows the addition.
    'mmpretrain.models.backbones.cspnet.CSPNet': Containers('stages.*.blocks', additive=False),
    'mmpretrain.models.backbones.davit.DaViT': _STAGES,
    'mmpretrain.models.backbones.edgenext.EdgeNeXt': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.efficientformer.EfficientFormer': Containers(
        'network.*', kind='Meta*', additive=True
    ),
    'mmpretrain.models.backbones.efficientnet.EfficientNet': _INVERTED,
    'mmpretrain.models.backbones.efficientnet_v2.EfficientNetV2': _INVERTED,
    'mmpretrain.models.backbones.hivit.HiViT': Containers(
        'blocks', kind='BlockWithRPE', additive=True
    ),
    'mmpretrain.models.backbones.hornet.HorNet': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.hrnet.HRNet': _HRNET,
    'mmpretrain.models.backbones.levit.LeViT': Containers(
        'stages.*', kind='Residual', additive=True
    ),
    'mmpretrain.models.backbones.mixmim.MixMIMTransformer': Containers(
        'layers.*.blocks', additive=True
    ),
    'mmpretrain.models.backbones.mlp_mixer.MlpMixer': _LAYERS,
    'mmpretrain.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmpretrain.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmpretrain.models.backbones.mobilevit.MobileViT': Containers(
        'layers.*.*.global_rep', kind='TransformerEncoderLayer', additive=True
    ),
    # Its blocks also pass on the size of the map.
    'mmpretrain.models.backbones.mvit.MViT': Containers(
        'blocks', starts='proj pool_skip', num_states=2, additive=True
    ),
    'mmpretrain.models.backbones.poolformer.PoolFormer': _META,
    'mmpretrain.models.backbones.replknet.RepLKNet': _STAGES,
    'mmpretrain.models.backbones.repmlp.RepMLPNet': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.resnet.ResNet': _RESNET,
    'mmpretrain.models.backbones.riformer.RIFormer': _META,
    'mmpretrain.models.backbones.shufflenet_v1.ShuffleNetV1': _SHUFFLE,
    'mmpretrain.models.backbones.swin_transformer.SwinTransformer': _STAGES,
    # Large ones have a norm layer after the addition in some blocks.
    'mmpretrain.models.backbones.swin_transformer_v2.SwinTransformerV2': Containers(
        'stages.*.blocks', additive=False
    ),
    'mmpretrain.models.backbones.t2t_vit.T2T_ViT': Containers('encoder', additive=True, note=_ONE),
    'mmpretrain.models.backbones.timm_backbone.TIMMBackbone': Wrapper('timm_model'),
    # Pixels and patches. A layer changes the patches in place.
    'mmpretrain.models.backbones.tnt.TNT': Containers(
        'layers', num_states=2, additive=False, note=_ONE
    ),
    'mmpretrain.models.backbones.tinyvit.TinyViT': Containers('stages.*.blocks', additive=False),
    'mmpretrain.models.backbones.twins.PCPVT': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.van.VAN': Containers('blocks[1-9]', additive=True),
    # A stage but the first begins with the layers that halve the resolution.
    'mmpretrain.models.backbones.vig.PyramidVig': _STAGES_OF_BLOCKS,
    'mmpretrain.models.backbones.vig.Vig': _BLOCKS,
    'mmpretrain.models.backbones.vision_transformer.VisionTransformer': _LAYERS,
    'mmpretrain.models.backbones.vit_sam.ViTSAM': _LAYERS,
    'mmpretrain.models.backbones.xcit.XCiT': Containers('xca_layers', additive=True, note=_ONE),
    'mmseg.models.backbones.beit.BEiT': _LAYERS,
    'mmseg.models.backbones.bisenetv2.BiSeNetV2': Containers(
        'semantic.stage*', kind='GELayer', additive=False
    ),
    'mmseg.models.backbones.cgnet.CGNet': Containers('level[12]', additive=True),
    'mmseg.models.backbones.erfnet.ERFNet': Containers(
        'encoder decoder', kind='NonBottleneck1d', additive=False
    ),
    'mmseg.models.backbones.fast_scnn.FastSCNN': _INVERTED,
    'mmseg.models.backbones.hrnet.HRNet': _HRNET,
    'mmseg.models.backbones.mit.MixVisionTransformer': _PYRAMID,
    'mmseg.models.backbones.mobilenet_v2.MobileNetV2': _INVERTED,
    'mmseg.models.backbones.mobilenet_v3.MobileNetV3': _INVERTED,
    'mmseg.models.backbones.mscan.MSCAN': Containers('block[1-9]', additive=True),
    'mmseg.models.backbones.resnet.ResNet': _RESNET,
    'mmseg.models.backbones.swin.SwinTransformer': _STAGES,
    'mmseg.models.backbones.timm_backbone.TIMMBackbone': Wrapper('timm_model'),
    'mmseg.models.backbones.twins.PCPVT': Containers('layers.*', additive=True),
    'mmseg.models.backbones.vit.VisionTransformer': _LAYERS,
}

_TORCHVISION: dict[str, Family] = {
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
        'encoder.layers', additive=True, note=_ONE
    ),
}

_TIMM: dict[str, Family] = {
    'timm.models.beit.Beit': _BLOCKS,
    'timm.models.convnext.ConvNeXt': _STAGES,
    'timm.models.edgenext.EdgeNeXt': _STAGES,
    'timm.models.efficientnet.EfficientNet': _INVERTED,
    'timm.models.efficientnet.EfficientNetFeatures': _INVERTED,
    'timm.models.eva.Eva': _BLOCKS,
    # CAFormers scale the shortcut, too.
    'timm.models.metaformer.MetaFormer': Containers('stages.*.blocks', additive=False),
    'timm.models.mobilenetv3.MobileNetV3': _INVERTED,
    'timm.models.mobilenetv3.MobileNetV3Features': _INVERTED,
    'timm.models.pvt_v2.PyramidVisionTransformerV2': _STAGES,
    'timm.models.regnet.RegNet': Containers('s[1-9]', additive=False),
    'timm.models.resnet.ResNet': _RESNET,
    # With preact=False an activation follows the addition.
    'timm.models.resnetv2.ResNetV2': Containers('stages.*.blocks', additive=False),
    'timm.models.swin_transformer.SwinTransformer': Containers('layers.*.blocks', additive=True),
    'timm.models.swin_transformer_v2.SwinTransformerV2': Containers(
        'layers.*.blocks', additive=True
    ),
    'timm.models.vision_transformer.VisionTransformer': _BLOCKS,
    'timm.models.xcit.Xcit': _BLOCKS,
}

# Of timm's feature nets, which take most networks apart, by the Python module of their parts.
_PARTS: dict[str, Family] = {
    **{
        name.rpartition('.')[0]: replace(rule, path=rule.path.replace('.', '_', 1))
        for name, rule in _TIMM.items()
        if isinstance(rule, Containers)
    },
    'timm.models._efficientnet_blocks': _INVERTED,
    'timm.models.res2net': _RESNET,
    'timm.models.resnest': _RESNET,
    'timm.models.sknet': _RESNET,
}

FAMILIES: dict[str, Family] = {
    **_OPENMMLAB,
    **_TORCHVISION,
    **_TIMM,
    'timm.models._features.FeatureDictNet': Parts(_PARTS),
    'timm.models._features.FeatureGetterNet': Wrapper('model'),
    'timm.models._features.FeatureHookNet': Parts(_PARTS),
}
"""Rule of each known class; :mod:`mmst.cli.list_backbones` has an example of each."""

register_families(FAMILIES)
