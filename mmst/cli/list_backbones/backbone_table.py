"""The tables of known and of refused backbones in ``docs/backbones.md``."""

from __future__ import annotations

import importlib
import re
from typing import Any, NamedTuple

from torch import nn

from mmst.core.refusals import REFUSALS
from mmst.core.rules import Rule
from mmst.core.stages import Family, known_backbones

__all__ = [
    'EXAMPLES',
    'LIBRARIES',
    'Example',
    'backbone_table',
    'refusal_table',
    'replace_tables',
]

LIBRARIES = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'torchvision', 'timm')
MARKS = '<!-- {}: begin -->', '<!-- {}: end -->'


class Example(NamedTuple):
    """A typical model of a known backbone class.

    Args:
        cls: Dotted name of the class.
        blocks: Blocks per stage.
        arguments: What it is built with.
        function: Dotted name of the function that builds it. Defaults to the class.
    """

    cls: str
    blocks: tuple[int, ...]
    arguments: dict[str, Any] = {}
    function: str = ''

    @property
    def library(self) -> str:
        """Package of the class."""
        return self.cls.partition('.')[0]

    @property
    def code(self) -> str:
        """Short form of the call that builds it."""
        arguments = ', '.join(
            f'{name}=' + ('...' if isinstance(value, dict) and len(value) > 2 else repr(value))
            for name, value in self.arguments.items()
        )
        function = self.function or self.cls
        return f'{function.rpartition(".")[2]}({arguments})'

    def build(self) -> nn.Module:
        """Builds it; needs its library."""
        module, _, name = (self.function or self.cls).rpartition('.')
        return getattr(importlib.import_module(module), name)(**self.arguments)


def _openmmlab(modules: str, name: str, blocks: tuple[int, ...], **arguments: Any) -> list[Example]:
    """Examples of a class of ``'library:module library:module ...'``."""
    return [
        Example(f'{library}.models.backbones.{module}.{name}', blocks, arguments)
        for library, _, module in (entry.partition(':') for entry in modules.split())
    ]


def _torchvision(cls: str, function: str, blocks: tuple[int, ...]) -> Example:
    return Example(f'torchvision.models.{cls}', blocks, {}, f'torchvision.models.{function}')


def _timm(cls: str, name: str, blocks: tuple[int, ...], **arguments: Any) -> Example:
    arguments = {'model_name': name, **arguments}
    return Example(f'timm.models.{cls}', blocks, arguments, 'timm.create_model')


SWIN, MOBILENET_V2, MOBILENET_V3 = (2, 2, 6, 2), (1, 2, 3, 4, 3, 3, 1), (1, 2, 3, 2, 3)
EFFICIENTNET = (1, 2, 2, 3, 3, 4, 1)


def _hrnet(modules: str) -> list[Example]:
    def stage(modules: int, block: str, *channels: int) -> dict[str, Any]:
        count = len(channels)
        return {'num_modules': modules, 'num_branches': count, 'block': block,
                'num_blocks': (4,) * count, 'num_channels': channels}  # fmt: skip

    extra = {'stage1': stage(1, 'BOTTLENECK', 64), 'stage2': stage(1, 'BASIC', 18, 36),
             'stage3': stage(4, 'BASIC', 18, 36, 72),
             'stage4': stage(3, 'BASIC', 18, 36, 72, 144)}  # fmt: skip
    return _openmmlab(modules, 'HRNet', (4,) * 27, extra=extra)


EXAMPLES = (
    *_openmmlab('mmdet:resnet mmseg:resnet mmpose:resnet mmpretrain:resnet', 'ResNet',
                (3, 4, 6, 3), depth=50),
    _torchvision('resnet.ResNet', 'resnet50', (3, 4, 6, 3)),
    _timm('resnet.ResNet', 'resnet50', (3, 4, 6, 3)),
    _timm('resnetv2.ResNetV2', 'resnetv2_18', (2, 2, 2, 2)),
    _torchvision('regnet.RegNet', 'regnet_y_400mf', (1, 3, 6, 6)),
    _timm('regnet.RegNet', 'regnetx_002', (1, 1, 4, 7)),
    *_openmmlab('mmdet:mobilenet_v2 mmseg:mobilenet_v2 mmpose:mobilenet_v2 mmpretrain:mobilenet_v2',
                'MobileNetV2', MOBILENET_V2),
    _torchvision('mobilenetv2.MobileNetV2', 'mobilenet_v2', MOBILENET_V2),
    *_openmmlab('mmseg:mobilenet_v3 mmpose:mobilenet_v3 mmpretrain:mobilenet_v3',
                'MobileNetV3', MOBILENET_V3, arch='small'),
    _torchvision('mobilenetv3.MobileNetV3', 'mobilenet_v3_small', MOBILENET_V3),
    _timm('mobilenetv3.MobileNetV3', 'mobilenetv3_small_050', (1, 2, 5, 3, 1)),
    _timm('mobilenetv3.MobileNetV3Features', 'mobilenetv3_small_050', (1, 2, 5, 3, 1),
          features_only=True),
    _torchvision('mnasnet.MNASNet', 'mnasnet0_5', (3, 3, 3, 2, 4, 1)),
    *_openmmlab('mmdet:efficientnet mmpretrain:efficientnet', 'EfficientNet', EFFICIENTNET,
                arch='b0'),
    _torchvision('efficientnet.EfficientNet', 'efficientnet_b0', EFFICIENTNET),
    _timm('efficientnet.EfficientNet', 'efficientnet_b0', EFFICIENTNET),
    _timm('efficientnet.EfficientNetFeatures', 'efficientnet_b0', EFFICIENTNET,
          features_only=True),
    *_openmmlab('mmpretrain:efficientnet_v2', 'EfficientNetV2', (1, 2, 2, 3, 5, 8), arch='b0'),
    *_openmmlab('mmpretrain:vision_transformer', 'VisionTransformer', (12,), arch='deit-tiny'),
    *_openmmlab('mmseg:vit', 'VisionTransformer', (12,), embed_dims=192, num_heads=3),
    _torchvision('vision_transformer.VisionTransformer', 'vit_b_16', (12,)),
    _timm('vision_transformer.VisionTransformer', 'vit_tiny_patch16_224', (12,)),
    *_openmmlab('mmpretrain:beit', 'BEiTViT', (12,), arch='deit-tiny', out_type='avg_featmap'),
    *_openmmlab('mmseg:beit', 'BEiT', (12,), embed_dims=192, num_heads=3),
    _timm('beit.Beit', 'beit_base_patch16_224', (12,)),
    _timm('eva.Eva', 'vit_tiny_patch16_dinov3_qkvb', (12,)),
    _timm('xcit.Xcit', 'xcit_nano_12_p8_224', (12,)),
    *_openmmlab('mmdet:swin mmseg:swin mmpose:swin', 'SwinTransformer', SWIN),
    *_openmmlab('mmpretrain:swin_transformer', 'SwinTransformer', SWIN, arch='tiny'),
    *_openmmlab('mmpretrain:swin_transformer_v2', 'SwinTransformerV2', SWIN, arch='tiny'),
    _torchvision('swin_transformer.SwinTransformer', 'swin_t', SWIN),
    _timm('swin_transformer.SwinTransformer', 'swin_tiny_patch4_window7_224', SWIN),
    _timm('swin_transformer_v2.SwinTransformerV2', 'swinv2_tiny_window8_256', SWIN),
    *_openmmlab('mmpretrain:convnext', 'ConvNeXt', (2, 2, 6, 2), arch='atto'),
    _torchvision('convnext.ConvNeXt', 'convnext_tiny', (3, 3, 9, 3)),
    _timm('convnext.ConvNeXt', 'convnext_atto', (2, 2, 6, 2)),
    *_openmmlab('mmdet:pvt mmpose:pvt', 'PyramidVisionTransformer', (2, 2, 2, 2),
                num_layers=[2, 2, 2, 2]),
    *_openmmlab('mmseg:mit', 'MixVisionTransformer', (2, 2, 2, 2), embed_dims=32,
                num_layers=[2, 2, 2, 2]),
    _timm('pvt_v2.PyramidVisionTransformerV2', 'pvt_v2_b0', (2, 2, 2, 2)),
    _timm('metaformer.MetaFormer', 'poolformer_s12', SWIN),
    _timm('edgenext.EdgeNeXt', 'edgenext_xx_small', (2, 2, 6, 2)),
    *_hrnet('mmdet:hrnet mmseg:hrnet mmpose:hrnet'),
    *_openmmlab('mmpretrain:hrnet', 'HRNet', (4,) * 27, arch='w18'),
    *_openmmlab('mmdet:csp_darknet mmpose:csp_darknet', 'CSPDarknet', (3, 9, 9)),
    *_openmmlab('mmdet:cspnext mmpose:cspnext', 'CSPNeXt', (3, 6, 6)),
    *_openmmlab('mmpretrain:cspnet', 'CSPDarkNet', (1, 2, 8, 8, 4), depth=53),
    Example('mmpretrain.models.backbones.cspnet.CSPNet', (3, 3, 5, 2), {'depth': 50},
            'mmpretrain.models.backbones.cspnet.CSPResNet'),
    *_openmmlab('mmdet:darknet', 'Darknet', (1, 2, 8, 8, 4)),
    *_openmmlab('mmpose:mspn', 'MSPN', (3, 4, 6, 3), num_stages=1, num_blocks=[3, 4, 6, 3]),
    *_openmmlab('mmpose:rsn', 'RSN', (3, 4, 6, 3), num_stages=1, num_blocks=[3, 4, 6, 3]),
    *_openmmlab('mmpose:shufflenet_v1 mmpretrain:shufflenet_v1', 'ShuffleNetV1', (4, 8, 4)),
    *_openmmlab('mmpose:vipnas_mbv3', 'ViPNAS_MobileNetV3', (1, 4, 4, 4, 4, 4)),
    *_openmmlab('mmpose:vipnas_resnet', 'ViPNAS_ResNet', (4, 6, 7, 3), depth=50),
    *_openmmlab('mmseg:bisenetv2', 'BiSeNetV2', (2, 2, 4)),
    *_openmmlab('mmseg:cgnet', 'CGNet', (3, 21)),
    *_openmmlab('mmseg:erfnet', 'ERFNet', (5, 8, 2, 2)),
    *_openmmlab('mmseg:fast_scnn', 'FastSCNN', (3, 3, 3)),
    *_openmmlab('mmseg:mscan', 'MSCAN', (3, 4, 6, 3), norm_cfg={'type': 'BN'}),
    *_openmmlab('mmseg:twins', 'PCPVT', (3, 4, 6, 3), embed_dims=[64, 128, 320, 512],
                num_heads=[1, 2, 5, 8], mlp_ratios=[8, 8, 4, 4], depths=[3, 4, 6, 3]),
    *_openmmlab('mmpretrain:twins', 'PCPVT', (3, 4, 6, 3), arch='small'),
    *_openmmlab('mmpretrain:poolformer', 'PoolFormer', SWIN),
    *_openmmlab('mmpretrain:riformer', 'RIFormer', SWIN),
    *_openmmlab('mmpretrain:efficientformer', 'EfficientFormer', (3, 2, 6, 3, 1)),
    *_openmmlab('mmpretrain:hornet', 'HorNet', (2, 3, 18, 2)),
    *_openmmlab('mmpretrain:levit', 'LeViT', (4, 7, 9), arch='128s'),
    *_openmmlab('mmpretrain:tinyvit', 'TinyViT', SWIN),
    *_openmmlab('mmpretrain:edgenext', 'EdgeNeXt', SWIN),
    *_openmmlab('mmpretrain:hivit', 'HiViT', (2, 2, 10), arch='tiny', out_indices=[9]),
    *_openmmlab('mmpretrain:davit', 'DaViT', (1, 1, 3, 1)),
    *_openmmlab('mmpretrain:mixmim', 'MixMIMTransformer', (2, 2, 18, 2)),
    *_openmmlab('mmpretrain:replknet', 'RepLKNet', (4, 4, 36, 4), arch='31B'),
    *_openmmlab('mmpretrain:mobilevit', 'MobileViT', (2, 4, 3)),
    *_openmmlab('mmpretrain:t2t_vit', 'T2T_ViT', (14,),
                t2t_cfg={'token_dims': 64},
                layer_cfgs={'num_heads': 6, 'feedforward_channels': 1152}),
    *_openmmlab('mmpretrain:mlp_mixer', 'MlpMixer', (8,), arch='small'),
    *_openmmlab('mmpretrain:vit_sam', 'ViTSAM', (12,)),
    *_openmmlab('mmpretrain:vig', 'Vig', (12,), arch='tiny'),
    *_openmmlab('mmpretrain:vig', 'PyramidVig', (2, 3, 7, 3), arch='tiny'),
    *_openmmlab('mmpretrain:van', 'VAN', (3, 3, 5, 2)),
    *_openmmlab('mmpretrain:mvit', 'MViT', (1, 2, 5, 2), arch='tiny'),
    *_openmmlab('mmpretrain:tnt', 'TNT', (12,), arch='small'),
    *_openmmlab('mmpretrain:conformer', 'Conformer', (3, 4, 3, 1), arch='tiny'),
    *_openmmlab('mmpretrain:repmlp', 'RepMLPNet', (2, 2, 12, 2), arch='base'),
    *_openmmlab('mmpretrain:xcit', 'XCiT', (12,), embed_dims=192, num_heads=4),
    *_openmmlab('mmseg:timm_backbone mmpretrain:timm_backbone', 'TIMMBackbone', EFFICIENTNET,
                model_name='efficientnet_b0', features_only=True, pretrained=False),
    _timm('_features.FeatureDictNet', 'resnet18', (2, 2, 2, 2), features_only=True),
    _timm('_features.FeatureGetterNet', 'vit_tiny_patch16_224', (12,), features_only=True),
    _timm('_features.FeatureHookNet', 'resnet18', (2, 2, 2, 2), features_only=True,
          feature_cls='hook'),
)  # fmt: skip


def backbone_table() -> str:
    """Formats one row per class and example, and one row for equal ones in several libraries.

    Raises:
        ValueError: A class of a library is registered without example, or the other way round.
    """
    known = {
        name: family
        for name, family in known_backbones().items()
        if name.partition('.')[0] in LIBRARIES
    }
    different = sorted(set(known) ^ {example.cls for example in EXAMPLES})
    if different:
        raise ValueError(
            'EXAMPLES of mmst/cli/list_backbones/backbone_table.py must have the registered '
            f'backbones, no others; they differ by {different}'
        )
    rows: dict[tuple[str, ...], list[str]] = {}
    for example in EXAMPLES:
        family = known[example.cls]
        cls = example.cls.rpartition('.')[2]
        blocks = ', '.join(map(str, example.blocks))
        if len(set(example.blocks)) == 1 and len(example.blocks) > 8:
            blocks = f'{len(example.blocks)} stages of {example.blocks[0]}'
        row = (cls, f'`{example.code}`', blocks, family.note, _raw_of(family))
        rows.setdefault(row, []).append(example.library)
    titles = ('class', 'library', 'for example', 'blocks per stage', 'stages', 'raw sampling')
    lines = [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|']
    for (cls, code, blocks, stages, raw), libraries in rows.items():
        lines.append(f'| `{cls}` | {", ".join(libraries)} | {code} | {blocks} | {stages} | {raw} |')
    return '\n'.join(lines)


def _raw_of(family: Family) -> str:
    """Describes whether raw sampling is possible."""
    if not isinstance(family, Rule):
        return 'as there'
    return 'yes' if family.additive else 'no'


def refusal_table() -> str:
    """Formats one row per reason, with the refused classes by their libraries."""
    rows: dict[str, dict[str, list[str]]] = {}
    for cls, reason in REFUSALS.items():
        libraries = rows.setdefault(reason, {}).setdefault(cls.rpartition('.')[2], [])
        libraries.append(cls.partition('.')[0])
    lines = ['| class | why |', '|---|---|']
    for reason, classes in rows.items():
        names = ', '.join(f'`{cls}` ({", ".join(libs)})' for cls, libs in classes.items())
        lines.append(f'| {names} | {reason} |')
    return '\n'.join(lines)


def replace_tables(page: str) -> str:
    """Puts both tables between their marks in a page.

    Raises:
        ValueError: The page has no marks of a table.
    """
    for name, table in (('table', backbone_table()), ('refused', refusal_table())):
        begin, end = (mark.format(name) for mark in MARKS)
        pattern = re.compile(f'{re.escape(begin)}.*{re.escape(end)}', re.DOTALL)
        found = pattern.search(page)
        if found is None:
            raise ValueError(f'page must have the lines {begin!r} and {end!r}')
        page = f'{page[: found.start()]}{begin}\n{table}\n{end}{page[found.end() :]}'
    return page
