"""Tiny backbones of every known family, whole and built shallower by their own library."""

import copy
import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

OPENMMLAB = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain')


@dataclass(eq=False)
class Case:
    """A backbone, and the arguments that build it with ``depths`` blocks per stage."""

    library: str
    name: str
    full: tuple[int, ...]
    depths: tuple[int, ...]
    arguments: dict[str, Any]
    shallow: dict[str, Any] | None = field(default_factory=dict)
    size: int = 64
    slow: bool = False

    @property
    def id(self):
        name = self.arguments.get('model_name', self.name)  # timm's
        features = '-features' * self.arguments.get('features_only', False)
        return f'{self.library}-{name.rpartition(".")[2]}{features}'

    def build(self, **changes):
        """Builds it in evaluation mode, with residual branches that are not silent."""
        importlib.import_module(self.library)
        torch.manual_seed(0)
        arguments = copy.deepcopy({**self.arguments, **changes})
        if self.library in OPENMMLAB:
            utilities = importlib.import_module(f'{self.library}.utils')
            utilities.register_all_modules(init_default_scope=False)
            with DefaultScope.overwrite_default_scope(self.library):
                backbone = MODELS.build({'type': self.name, **arguments})
        else:
            module, _, function = self.name.rpartition('.')
            backbone = getattr(importlib.import_module(module), function)(**arguments)
        for parameter in backbone.parameters():
            if parameter.ndim == 1:
                torch.nn.init.uniform_(parameter, 0.5, 1.0)
            else:
                torch.nn.init.normal_(parameter, std=0.2)
        backbone.eval()  # returns None in OpenMMLab
        return backbone

    def images(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2, 3, self.size, self.size, generator=generator)


STAGED, SHALLOW, SWIN = (2, 3, 2, 2), (1, 2, 2, 1), (2, 2, 6, 2)
ALL = (0, 1, 2, 3)
VIT = {'embed_dims': 16, 'num_layers': 4, 'num_heads': 2, 'feedforward_channels': 32}


def pretrain_vit(name, arch=VIT, **arguments):
    arguments = {'patch_size': 16, 'img_size': 64, 'out_indices': [1, 3], **arguments}
    shallow = {'arch': {**arch, 'num_layers': 2}, 'out_indices': [1]}
    return Case('mmpretrain', name, (4,), (2,), {'arch': arch, **arguments}, shallow)


def segment_vit(name, **arguments):
    arguments = {'img_size': (64, 64), 'embed_dims': 16, 'num_layers': 4, 'num_heads': 2,
                 'out_indices': (1, 3), **arguments}  # fmt: skip
    return Case('mmseg', name, (4,), (2,), arguments, {'num_layers': 2, 'out_indices': (1,)})


def pretrain_swin(name, **arch):
    arch = {'embed_dims': 8, 'depths': STAGED, 'num_heads': (1, 2, 2, 2), **arch}
    arguments = {'arch': arch, 'img_size': 64, 'window_size': 2, 'out_indices': ALL}
    return Case(
        'mmpretrain', name, STAGED, SHALLOW, arguments, {'arch': {**arch, 'depths': SHALLOW}}
    )


def swin(library):
    arguments = {'embed_dims': 8, 'depths': STAGED, 'num_heads': (1, 2, 2, 2), 'window_size': 2,
                 'pretrain_img_size': 64}  # fmt: skip
    return Case(library, 'SwinTransformer', STAGED, SHALLOW, arguments, {'depths': SHALLOW})


def pyramid(library, name, **arguments):
    arguments = {'embed_dims': 8, 'num_layers': STAGED, 'num_heads': (1, 2, 2, 2), **arguments}
    return Case(library, name, STAGED, SHALLOW, arguments, {'num_layers': SHALLOW})


def mobilenet_v2(library):
    full, depths = (1, 2, 3, 4, 3, 3, 1), (1, 1, 2, 3, 1, 3, 1)
    arguments = {'widen_factor': 0.35, 'out_indices': (1, 2, 4, 6)}
    return Case(library, 'MobileNetV2', full, depths, arguments, None)


def mobilenet_v3(library, arch, full, depths, **arguments):
    return Case(library, 'MobileNetV3', full, depths, {'arch': arch, **arguments}, None)


def torchvision_mobilenet(name, full, depths):
    return Case('torchvision', f'torchvision.models.{name}', full, depths, {}, None)


def _torchvision_resnet():
    from torchvision.models.resnet import Bottleneck

    full, depths = (2, 3, 2, 1), (1, 2, 1, 1)
    arguments = {'block': Bottleneck, 'layers': list(full), 'num_classes': 5}
    name = 'torchvision.models.resnet.ResNet'
    return Case('torchvision', name, full, depths, arguments, {'layers': list(depths)})


def timm_case(name, full, depths, key='', library='timm', slow=False, **arguments):
    """A model of timm, or of a library's TIMMBackbone; ``key`` is the argument for depths."""

    def value(blocks):
        return blocks if len(blocks) > 1 else blocks[0]

    arguments = {'model_name': name, **arguments}
    shallow = {key: value(depths)} if key else None
    if key:
        arguments[key] = value(full)
    function = 'timm.create_model' if library == 'timm' else 'TIMMBackbone'
    if library != 'timm':
        arguments['pretrained'] = False
    return Case(library, function, full, depths, arguments, shallow, slow=slow)


def timm_cases():
    small_v3, lite = (1, 2, 5, 3, 1), (1, 2, 2, 3, 3, 4, 1)
    v3_depths, lite_depths, regnet = (1, 1, 3, 2, 1), (1, 1, 2, 2, 1, 3, 1), (1, 1, 4, 7)
    swin = {'img_size': 64, 'window_size': 2, 'embed_dim': 8, 'num_heads': (1, 2, 2, 2)}
    vit = {'img_size': 64, 'embed_dim': 18}
    features = {'features_only': True}
    backbone = {'library': 'mmpretrain', **features}
    return [
        timm_case('vit_tiny_patch16_224', (4,), (2,), 'depth', **vit),
        timm_case('convnext_atto', STAGED, SHALLOW, 'depths', dims=(8, 16, 24, 32)),
        timm_case('swin_tiny_patch4_window7_224', STAGED, SHALLOW, 'depths', **swin),
        timm_case('resnet18', (2, 2, 2, 2), (1, 2, 2, 1), 'layers'),
        timm_case('regnetx_002', regnet, (1, 1, 2, 3)),
        timm_case('tf_efficientnet_lite0', lite, lite_depths),
        timm_case('mobilenetv3_small_050', small_v3, v3_depths),
        timm_case('mobilenetv3_small_050', small_v3, v3_depths, **features),
        # Taken apart by timm, whole in its FeatureGetterNet, with hooks, of a class of its own.
        timm_case('resnet18', (2, 2, 2, 2), (1, 2, 2, 1), 'layers', **backbone),
        timm_case('convnext_atto', STAGED, SHALLOW, 'depths', dims=(8, 16, 24, 32), **features),
        timm_case('swin_tiny_patch4_window7_224', STAGED, SHALLOW, 'depths', **swin, **features),
        timm_case('regnetx_002', regnet, (1, 1, 2, 3), library='mmseg', out_indices=(1, 2, 3, 4)),
        timm_case('vit_tiny_patch16_224', (4,), (2,), **vit, depth=4, out_indices=(1, 3),
                  **backbone),
        timm_case('resnet18', (2, 2, 2, 2), (1, 2, 2, 1), feature_cls='hook', **features),
        timm_case('convnext_atto', STAGED, SHALLOW, 'depths', dims=(8, 16, 24, 32),
                  feature_cls='hook', **features),
        timm_case('tf_efficientnet_lite0', lite, lite_depths, out_indices=(1, 2, 4), **backbone),
        timm_case('tf_efficientnet_lite0', lite, lite_depths, library='mmpretrain'),
        # A stage with a convolution with a shortcut at its start, fused blocks, attention.
        timm_case('tf_efficientnetv2_b1', (2, 3, 3, 4, 6, 9), (1, 2, 2, 2, 3, 5), slow=True),
        timm_case('mobilenetv4_hybrid_medium', (1, 2, 12, 16, 1), (1, 1, 5, 6, 1), slow=True),
        timm_case('mnasnet_small', (1, 1, 2, 7, 3, 1), (1, 1, 1, 3, 2, 1), slow=True),
        timm_case('res2net50_26w_4s', (3, 4, 6, 3), (2, 3, 2, 1), slow=True, **features),
        timm_case('resnetv2_50', (3, 4, 6, 3), (2, 3, 2, 1), slow=True, preact=False,
                  **features),
        timm_case('caformer_s18', (3, 3, 9, 3), (1, 2, 3, 2), slow=True, **features),
        timm_case('pvt_v2_b0', STAGED, SHALLOW, 'depths', slow=True, **features),
        timm_case('edgenext_xx_small', (2, 2, 6, 2), (1, 2, 3, 1), slow=True, **features),
        timm_case('swinv2_tiny_window8_256', STAGED, SHALLOW, 'depths', slow=True, **swin),
        timm_case('beit_base_patch16_224', (4,), (2,), 'depth', slow=True, img_size=64,
                  embed_dim=24),
        timm_case('vit_tiny_patch16_dinov3_qkvb', (4,), (2,), 'depth', slow=True, img_size=64),
        timm_case('xcit_nano_12_p8_224', (4,), (2,), 'depth', slow=True),
    ]  # fmt: skip


def _torchvision_vit():
    arguments = {'image_size': 64, 'patch_size': 16, 'num_layers': 4, 'num_heads': 2,
                 'hidden_dim': 16, 'mlp_dim': 32}  # fmt: skip
    name = 'torchvision.models.vision_transformer.VisionTransformer'
    return Case('torchvision', name, (4,), (2,), arguments, {'num_layers': 2})


def _torchvision_swin(name, **arguments):
    arguments = {'patch_size': [4, 4], 'embed_dim': 8, 'depths': list(STAGED),
                 'window_size': [2, 2], 'num_heads': [1, 2, 2, 2], **arguments}  # fmt: skip
    name = f'torchvision.models.swin_transformer.{name}'
    return Case('torchvision', name, STAGED, SHALLOW, arguments, {'depths': list(SHALLOW)})


def _torchvision_convnext():
    from torchvision.models.convnext import CNBlockConfig

    def setting(depths):
        widths = (8, 16, 24, 32)
        return [CNBlockConfig(*c) for c in zip(widths, (*widths[1:], None), depths, strict=True)]

    name = 'torchvision.models.convnext.ConvNeXt'
    arguments = {'block_setting': setting(STAGED), 'layer_scale': 1.0}
    return Case(
        'torchvision', name, STAGED, SHALLOW, arguments, {'block_setting': setting(SHALLOW)}
    )


def _convnext():
    arch = {'depths': STAGED, 'channels': (8, 16, 24, 32)}
    arguments = {'arch': arch, 'out_indices': ALL, 'gap_before_final_norm': False}
    shallow = {'arch': {**arch, 'depths': SHALLOW}}
    return Case('mmpretrain', 'ConvNeXt', STAGED, SHALLOW, arguments, shallow)


def hrnet(library):
    def stage(blocks, *branches, modules=1):
        return {'num_modules': modules, 'num_branches': len(branches), 'block': 'BASIC',
                'num_blocks': (blocks,) * len(branches), 'num_channels': branches}  # fmt: skip

    def extra(first, blocks):
        return {'stage1': {**stage(first, 8), 'block': 'BOTTLENECK'},
                'stage2': stage(blocks, 8, 16),
                'stage3': stage(blocks, 8, 16, 24, modules=2),
                'stage4': stage(blocks, 8, 16, 24, 32)}  # fmt: skip

    arguments = {'extra': extra(3, 3)}
    if library == 'mmpose':  # passes the finest branch on by itself
        arguments['extra']['stage4']['multiscale_output'] = True
    shallow = extra(2, 1)
    shallow['stage4'] = arguments['extra']['stage4'] | shallow['stage4']
    return Case(library, 'HRNet', (3,) * 13, (2, *(1,) * 12), arguments, {'extra': shallow})


def hrformer():
    def stage(modules, *branches):
        count = len(branches)
        return {'num_modules': modules, 'num_branches': count, 'block': 'HRFORMERBLOCK',
                'num_blocks': (2,) * count, 'num_channels': branches, 'window_sizes': (7,) * count,
                'num_heads': (1,) * count, 'mlp_ratios': (2,) * count}  # fmt: skip

    stages = {'stage1': {'num_modules': 1, 'num_branches': 1, 'block': 'BOTTLENECK',
                         'num_blocks': (2,), 'num_channels': (8,)},
              'stage2': stage(1, 8, 16), 'stage3': stage(1, 8, 16, 24),
              'stage4': {**stage(1, 8, 16, 24, 32), 'multiscale_output': True}}  # fmt: skip
    extra = {'drop_path_rate': 0.0, 'with_rpe': True, **stages}
    return Case('mmpose', 'HRFormer', (2,) * 10, (1, 2) * 5, {'extra': extra}, None)


def csp(library, name, **arguments):
    arguments = {'widen_factor': 0.125, 'out_indices': (1, 2, 3, 4), **arguments}
    return Case(library, name, (3, 6, 6) if name == 'CSPNeXt' else (3, 9, 9), (1, 4, 2),
                arguments, None)  # fmt: skip


def pretrain_stages(name, arch, key, full=STAGED, depths=SHALLOW, **arguments):
    """A classifier's backbone; ``key`` of ``arch`` has the depths."""
    arguments = {'arch': {**arch, key: full if len(full) > 1 else full[0]}, **arguments}
    shallow = {'arch': {**arch, key: depths if len(full) > 1 else depths[0]}}
    return Case('mmpretrain', name, full, depths, arguments, shallow)


def mvit_cases():
    """With the width multiplied where the map shrinks, and a block before that."""
    arch = {'embed_dims': 8, 'num_layers': 7, 'num_heads': 1, 'downscale_indices': [2, 4]}
    arguments = {'arch': arch, 'img_size': 64, 'out_scales': [0, 1, 2]}
    return [
        Case('mmpretrain', 'MViT', (2, 2, 3), (1, 1, 2), arguments, None),
        Case('mmpretrain', 'MViT', (1, 1, 1, 1, 3), (1, 1, 1, 1, 2),
             {**arguments, 'dim_mul_in_attention': False}, None),
    ]  # fmt: skip


def classifier_cases():
    widths = (8, 16, 24, 32)
    meta = {'embed_dims': widths, 'mlp_ratios': (2, 2, 2, 2), 'layer_scale_init_value': 1.0}
    one, heads = ((4,), (2,)), (1, 2, 2, 2)
    davit = {'embed_dims': 8, 'num_heads': heads}
    sdta = {'channels': widths, 'num_heads': heads}
    every = {'out_indices': ALL}
    twins = {
        'embed_dims': [8, 16, 24, 32],
        'num_heads': [1, 2, 2, 2],
        'patch_sizes': [4, 2, 2, 2],
        'strides': [4, 2, 2, 2],
        'mlp_ratios': [2, 2, 2, 2],
        'sr_ratios': [4, 2, 1, 1],
    }
    sam = {'embed_dims': 16, 'num_heads': 2, 'feedforward_channels': 32, 'global_attn_indexes': [1]}
    mixer = {'embed_dims': 16, 'tokens_mlp_dims': 8, 'channels_mlp_dims': 32}
    dw = [{'type': 'DW', 'kernel_size': 7}] * 4
    tnt = {'embed_dims_outer': 16, 'embed_dims_inner': 8, 'num_heads_inner': 2,
           'num_heads_outer': 2}  # fmt: skip
    rep_mlp = {'channels': [8, 16, 24, 32], 'sharesets_nums': [1, 2, 2, 2]}
    horn = {'base_dim': 32, 'orders': [2, 3, 4, 5], 'dw_cfg': dw}
    return [
        Case('mmpretrain', 'XCiT', (4,), (2,),
             {'embed_dims': 16, 'depth': 4, 'num_heads': 2, 'layer_scale_init_value': 1.0},
             {'depth': 2}),
        *(pretrain_stages(name, meta, 'layers', out_indices=(0, 2, 4, 6))
          for name in ('RIFormer', 'PoolFormer')),
        pretrain_stages('HorNet', horn, 'depths', gap_before_final_norm=False, **every),
        Case('mmpretrain', 'LeViT', (4, 7, 9), (2, 3, 4), {'arch': '128s', 'img_size': 64}, None),
        pretrain_stages('TinyViT', {'channels': widths, 'num_heads': heads}, 'depths',
                        img_size=(64, 64), window_size=[2, 2, 2, 2], drop_path_rate=0.0,
                        gap_before_final_norm=False),
        pretrain_stages('EdgeNeXt', sdta, 'depths', (2, 2, 3, 2), (1, 1, 2, 1),
                        gap_before_final_norm=False, global_blocks=[0, 0, 0, 0],
                        global_block_type=['None'] * 4, **every),
        Case('mmpretrain', 'EdgeNeXt', (2, 2, 6, 2), (1, 2, 3, 1), {'arch': 'xxsmall'}, None),
        Case('mmpretrain', 'HiViT', (2, 2, 7), (1, 2, 3),
             {'arch': {'embed_dims': 32, 'depths': [1, 1, 7], 'num_heads': 2}, 'img_size': 64,
              'out_indices': [6]}, None),
        Case('mmpretrain', 'Vig', (12,), (7,), {'arch': 'tiny'}, None, size=224, slow=True),
        Case('mmpretrain', 'PyramidVig', (2, 3, 7, 3), (1, 2, 4, 1), {'arch': 'tiny'}, None,
             size=224, slow=True),
        Case('mmpretrain', 'RepLKNet', (4, 6, 4, 4), (2, 3, 2, 4),
             {'arch': {'large_kernel_sizes': [7] * 4, 'layers': STAGED, 'channels': [8, 16, 24, 32],
                       'small_kernel': 3, 'dw_ratio': 1}, 'out_indices': ALL}, None),
        pretrain_stages('DaViT', davit, 'depths', window_size=2, drop_path_rate=0.0, **every),
        Case('mmpretrain', 'MobileViT', (2, 4, 3), (1, 2, 2), {'arch': 'xx_small'}, None),
        Case('mmpretrain', 'T2T_ViT', (4,), (2,),
             {'img_size': 64, 'embed_dims': 16, 'num_layers': 4,
              't2t_cfg': {'token_dims': 16},
              'layer_cfgs': {'num_heads': 2, 'feedforward_channels': 32}}, {'num_layers': 2}),
        Case('mmpretrain', 'PCPVT', STAGED, SHALLOW, {'arch': {**twins, 'depths': list(STAGED)},
             **every}, {'arch': {**twins, 'depths': list(SHALLOW)}}),
        Case('mmpretrain', 'MixMIMTransformer', (2, 2, 3, 2), (1, 2, 2, 1),
             {'arch': {'embed_dims': 8, 'depths': [2, 2, 3, 2], 'num_heads': heads},
              'img_size': 64, 'window_size': [2, 2, 2, 2]}, None),
        pretrain_stages('ViTSAM', sam, 'num_layers', *one, img_size=64, window_size=2,
                        out_channels=8),
        pretrain_stages('MlpMixer', mixer, 'num_layers', *one, img_size=64),
        Case('mmpretrain', 'EfficientFormer', (3, 2, 6, 3, 1), (1, 2, 3, 2, 1), {'arch': 'l1'},
             None, size=224, slow=True),
        Case('mmpretrain', 'CSPDarkNet', (1, 2, 8, 8, 4), (1, 1, 3, 5, 2), {'depth': 53}, None,
             slow=True),
        Case('mmpretrain', 'CSPResNeXt', (3, 3, 5, 2), (1, 2, 3, 1), {'depth': 50}, None,
             slow=True),
        Case('mmpretrain', 'ShuffleNetV1', (4, 8, 4), (1, 3, 2), {'out_indices': (0, 1, 2)}, None),
        pretrain_stages('VAN', {'embed_dims': list(widths), 'ffn_ratios': [2] * 4}, 'depths',
                        block_cfgs={'layer_scale_init_value': 1.0}, **every),
        *mvit_cases(),
        Case('mmpretrain', 'TNT', (4,), (2,),
             {'arch': {**tnt, 'num_layers': 4}, 'img_size': 64},
             {'arch': {**tnt, 'num_layers': 2}}),
        Case('mmpretrain', 'Conformer', (3, 4, 3, 1), (2, 2, 3, 1),
             {'arch': {'embed_dims': 16, 'depths': 12, 'num_heads': 2, 'channel_ratio': 0.25},
              'out_indices': [1, 6, 12], 'frozen_stages': -1}, None),
        Case('mmpretrain', 'RepMLPNet', STAGED, SHALLOW,
             {'arch': {**rep_mlp, 'depths': list(STAGED)}, 'img_size': 64, 'out_indices': ALL,
              'reparam_conv_kernels': (1, 3)}, {'arch': {**rep_mlp, 'depths': list(SHALLOW)}}),
    ]  # fmt: skip


def dense_cases():
    """Backbones of detectors, segmenters and pose estimators."""
    twins = {'embed_dims': (8, 16, 24, 32), 'num_heads': (1, 2, 2, 2), 'mlp_ratios': (2, 2, 2, 2)}
    units = {'unit_channels': 16, 'num_stages': 2, 'num_units': 4}
    return [
        *map(hrnet, OPENMMLAB),
        hrformer(),
        csp('mmdet', 'CSPDarknet'),
        csp('mmdet', 'CSPNeXt'),
        csp('mmpose', 'CSPDarknet'),
        csp('mmpose', 'CSPNeXt'),
        Case('mmdet', 'Darknet', (1, 2, 8, 8, 4), (1, 1, 3, 5, 2), {}, None, slow=True),
        Case('mmpose', 'MSPN', (2, 2, 3, 2) * 2, (1, 2, 2, 1) * 2,
             {**units, 'num_blocks': [2, 2, 3, 2]}, None),
        Case('mmpose', 'RSN', (2, 2, 3, 2), (1, 2, 2, 1),
             {**units, 'num_stages': 1, 'unit_channels': 8, 'num_blocks': [2, 2, 3, 2]}, None),
        Case('mmpose', 'ShuffleNetV1', (4, 8, 4), (1, 3, 2), {'out_indices': (0, 1, 2)}, None),
        Case('mmpose', 'ViPNAS_ResNet', (4, 6, 7, 3), (2, 3, 4, 1), {'depth': 50}, None),
        Case('mmpose', 'ViPNAS_MobileNetV3', (1, 4, 4, 4, 4, 4), (1, 2, 3, 1, 4, 2), {}, None),
        Case('mmseg', 'PCPVT', STAGED, SHALLOW, {**twins, 'depths': STAGED}, {'depths': SHALLOW}),
        Case('mmseg', 'SVT', STAGED, SHALLOW,
             {**twins, 'depths': STAGED, 'sr_ratios': (4, 2, 1, 1),
              'windiow_sizes': (2, 2, 2, 2)}, {'depths': SHALLOW}),
        Case('mmseg', 'BiSeNetV2', (2, 2, 4), (1, 2, 2),
             {'detail_channels': (8, 8, 16), 'semantic_channels': (8, 8, 8, 16),
              'semantic_expansion_ratio': 1, 'bga_channels': 16}, None),
        Case('mmseg', 'CGNet', (3, 4), (2, 2), {'num_channels': (8, 16, 16), 'num_blocks': (3, 4),
             'reductions': (2, 2)}, {'num_blocks': (2, 2)}),
        Case('mmseg', 'ERFNet', (3, 4, 2, 2), (2, 2, 1, 2),
             {'enc_downsample_channels': (8, 16, 24), 'enc_non_bottleneck_channels': (16, 24),
              'dec_upsample_channels': (16, 8), 'dec_non_bottleneck_channels': (16, 8),
              'enc_stage_non_bottlenecks': (3, 4)}, None),
        Case('mmseg', 'FastSCNN', (3, 3, 3), (1, 2, 2), {}, None),
        Case('mmseg', 'MSCAN', STAGED, SHALLOW,
             {'embed_dims': [8, 16, 24, 32], 'mlp_ratios': [2, 2, 2, 2], 'depths': STAGED,
              'norm_cfg': {'type': 'BN'}}, {'depths': SHALLOW}),
    ]  # fmt: skip


def cases():
    full_v3, depths_v3 = (1, 2, 3, 2, 3), (1, 1, 2, 2, 1)
    lite = (1, 2, 2, 3, 3, 4, 1)
    beit = {'out_type': 'avg_featmap', 'out_indices': [3]}
    return [
        pretrain_vit('VisionTransformer'),
        pretrain_vit('VisionTransformer', out_type='featmap', with_cls_token=False),
        pretrain_vit('DistilledVisionTransformer'),
        pretrain_vit('DeiT3'),
        pretrain_vit('ViTEVA02'),
        pretrain_vit('BEiTViT', **beit),
        segment_vit('VisionTransformer', final_norm=True),
        segment_vit('BEiT', qv_bias=True),
        segment_vit('MAE'),
        pretrain_swin('SwinTransformer'),
        pretrain_swin('SwinTransformerV2', extra_norm_every_n_blocks=2),
        swin('mmdet'),
        swin('mmseg'),
        swin('mmpose'),
        _convnext(),
        pyramid('mmdet', 'PyramidVisionTransformer', pretrain_img_size=64),
        pyramid('mmdet', 'PyramidVisionTransformerV2'),
        pyramid('mmpose', 'PyramidVisionTransformer', pretrain_img_size=64),
        pyramid('mmpose', 'PyramidVisionTransformerV2'),
        pyramid('mmseg', 'MixVisionTransformer'),
        *map(mobilenet_v2, OPENMMLAB),
        # At half the width two more blocks have a shortcut.
        mobilenet_v3('mmpretrain', 'small_050', (1, 2, 5, 3), (1, 1, 3, 2), out_indices=(1, 3, 12)),
        mobilenet_v3('mmseg', 'small', full_v3, depths_v3, out_indices=(0, 1, 12)),
        mobilenet_v3('mmpose', 'small', full_v3, depths_v3, out_indices=(1, 7, -1)),
        Case('mmpretrain', 'RegNet', (1, 2, 7, 12), (1, 1, 3, 6),
             {'arch': 'regnetx_400mf', 'out_indices': ALL}, None),
        Case('mmdet', 'EfficientNet', lite[:5], (1, 1, 2, 2, 1),
             {'arch': 'b0', 'out_indices': (3, 4)}, None),
        Case('mmpretrain', 'EfficientNet', lite, (1, 1, 2, 2, 1, 3, 1), {'arch': 'b0'}, None),
        Case('mmpretrain', 'EfficientNet', (1, 2, 4, 5, 4, 2), (1, 1, 2, 3, 2, 1),
             {'arch': 'es'}, None),
        Case('mmpretrain', 'EfficientNetV2', (2, 3, 3, 4, 6, 9), (1, 2, 2, 2, 3, 5),
             {'arch': 'b1'}, None, slow=True),
        _torchvision_resnet(),
        _torchvision_vit(),
        _torchvision_swin('SwinTransformer'),
        _torchvision_convnext(),
        torchvision_mobilenet('mobilenet_v2', (1, 2, 3, 4, 3, 3, 1), (1, 1, 2, 3, 1, 3, 1)),
        torchvision_mobilenet('mobilenet_v3_small', full_v3, depths_v3),
        torchvision_mobilenet('regnet_y_400mf', (1, 3, 6, 6), (1, 2, 2, 5)),
        torchvision_mobilenet('efficientnet_b0', lite, (1, 1, 2, 2, 1, 3, 1)),
        torchvision_mobilenet('mnasnet0_5', (3, 3, 3, 2, 4, 1), (1, 2, 3, 1, 2, 1)),
        *dense_cases(),
        *classifier_cases(),
        *timm_cases(),
    ]  # fmt: skip


def pytest_generate_tests(metafunc):
    if 'case' in metafunc.fixturenames:
        marks = {True: pytest.mark.slow, False: ()}
        values = [pytest.param(case, id=case.id, marks=marks[case.slow]) for case in cases()]
        # Tests of one case follow each other, so that only one backbone is in memory.
        metafunc.parametrize('case', values, scope='module')


@pytest.fixture(scope='module')
def built(case):
    if importlib.util.find_spec(case.library) is None:
        pytest.skip(f'{case.library} is not installed')
    return case.build()


@pytest.fixture
def backbone(built):
    """The backbone of a case, built once for all tests; in evaluation mode, without gradients."""
    built.zero_grad()
    built.eval()  # backbones of OpenMMLab return nothing here
    return built
