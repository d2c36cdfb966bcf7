"""Small models of mmpretrain that reconstruct images, and batches for them."""

import copy

import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

PIXELS = {'type': 'PixelReconstructionLoss', 'criterion': 'L2'}
COSINE = {'type': 'CosineSimilarityLoss', 'shift_factor': 2.0, 'scale_factor': 2.0}
VIT = {
    'arch': {'embed_dims': 24, 'num_layers': 4, 'num_heads': 2, 'feedforward_channels': 48},
    'img_size': 32,
    'patch_size': 8,
}
HIVIT = {
    'arch': {'embed_dims': 32, 'depths': [2, 2, 3], 'num_heads': 2},
    'img_size': 64,
    'patch_size': 16,
}
DECODER = {
    'num_patches': 16,
    'patch_size': 8,
    'embed_dim': 24,
    'decoder_embed_dim': 16,
    'decoder_depth': 1,
    'decoder_num_heads': 2,
}
MAE_HEAD = {'type': 'MAEPretrainHead', 'norm_pix': True, 'patch_size': 8, 'loss': PIXELS}
DISTILLING = {'head': {'type': 'MIMHead', 'loss': COSINE}, 'target_generator': {'type': 'Targets'}}
SPARK = {
    'type': 'SparK',
    'input_size': 64,
    'enc_dec_norm_cfg': {'type': 'SparseBatchNorm2d'},
    'enc_dec_norm_dim': 512,
    'neck': {
        'type': 'SparKLightDecoder',
        'feature_dim': 32,
        'upsample_ratio': 32,
        'mid_channels': 0,
        'last_act': False,
    },
    'head': {'type': 'SparKPretrainHead', 'loss': PIXELS},
}

CONFIGS = {
    'MAE': {
        'type': 'MAE',
        'backbone': {'type': 'MAEViT', **VIT},
        'neck': {'type': 'MAEPretrainDecoder', **DECODER},
        'head': MAE_HEAD,
    },
    'MAE of a HiViT': {
        'type': 'MAE',
        'backbone': {'type': 'MAEHiViT', **HIVIT},
        'neck': {'type': 'MAEPretrainDecoder', **DECODER, 'patch_size': 16, 'embed_dim': 32},
        'head': {**MAE_HEAD, 'patch_size': 16},
    },
    'MFF': {
        'type': 'MFF',
        'backbone': {'type': 'MFFViT', **VIT, 'out_indices': [0, 1, 3]},
        'neck': {'type': 'MAEPretrainDecoder', **DECODER},
        'head': MAE_HEAD,
    },
    'EVA': {
        'type': 'EVA',
        'backbone': {'type': 'MAEViT', **VIT},
        'neck': {'type': 'MAEPretrainDecoder', **DECODER, 'predict_feature_dim': 8},
        **DISTILLING,
    },
    'MILAN': {
        'type': 'MILAN',
        'backbone': {'type': 'MILANViT', **VIT},
        'neck': {'type': 'MILANPretrainDecoder', **DECODER, 'predict_feature_dim': 8},
        **DISTILLING,
    },
    'iTPN': {
        'type': 'iTPN',
        'backbone': {'type': 'iTPNHiViT', **HIVIT, 'reconstruction_type': 'pixel'},
        'neck': {
            'type': 'iTPNPretrainDecoder',
            **DECODER,
            'patch_size': 16,
            'embed_dim': 32,
            'fpn_dim': 16,
            'fpn_depth': 1,
            'num_outs': 3,
        },
        'head': {'type': 'MAEPretrainHead', 'patch_size': 16, 'norm_pix': True, 'loss': PIXELS},
    },
    'SimMIM': {
        'type': 'SimMIM',
        'backbone': {
            'type': 'SimMIMSwinTransformer',
            'arch': {'embed_dims': 12, 'depths': [2, 2, 3, 2], 'num_heads': [1, 2, 3, 4]},
            'img_size': 64,
            'stage_cfgs': {'block_cfgs': {'window_size': 2}},
        },
        'neck': {'type': 'SimMIMLinearDecoder', 'in_channels': 96, 'encoder_stride': 32},
        'head': {
            'type': 'SimMIMHead',
            'patch_size': 4,
            'loss': {**PIXELS, 'criterion': 'L1', 'channel': 3},
        },
    },
    'MixMIM': {
        'type': 'MixMIM',
        'backbone': {
            'type': 'MixMIMPretrainTransformer',
            'arch': {'embed_dims': 8, 'depths': [2, 2, 3, 2], 'num_heads': [1, 2, 2, 2]},
            'img_size': 64,
            'window_size': [4, 4, 4, 2],
        },
        'neck': {
            'type': 'MixMIMPretrainDecoder',
            **DECODER,
            'num_patches': 4,
            'encoder_stride': 32,
            'embed_dim': 64,
        },
        'head': {'type': 'MixMIMPretrainHead', 'norm_pix': True, 'loss': PIXELS},
    },
    'MaskFeat': {
        'type': 'MaskFeat',
        'backbone': {'type': 'MaskFeatViT', **VIT, 'img_size': 224, 'patch_size': 16},
        'neck': {'type': 'LinearNeck', 'in_channels': 24, 'out_channels': 108, 'norm_cfg': None},
        'head': {'type': 'MIMHead', 'loss': PIXELS},
        'target_generator': {'type': 'HOGGenerator', 'nbins': 9, 'pool': 8, 'gaussian_window': 16},
    },
    'SparK': {
        **SPARK,
        'backbone': {'type': 'SparseResNet', 'depth': 18, 'out_indices': (0, 1, 2, 3)},
    },
    'SparK of a ConvNeXt': {
        **SPARK,
        'enc_dec_norm_dim': 64,
        'enc_dec_norm_cfg': {'type': 'SparseLN2d'},
        'backbone': {
            'type': 'SparseConvNeXt',
            'arch': {'depths': [2, 2, 3, 2], 'channels': [8, 16, 32, 64]},
            'out_indices': (0, 1, 2, 3),
            'gap_before_output': False,
            'layer_scale_init_value': 1.0,
        },
    },
}
"""By name, models whose loss takes one tensor of images."""

SIZES = {'MAE': 32, 'MFF': 32, 'EVA': 32, 'MILAN': 32, 'MaskFeat': 224}
"""Sides of the images, where they are not 64 pixels."""


class Targets(nn.Module):
    """In place of CLIP, which needs a file: a feature of each patch of 8 pixels, and importances.

    A feature is the mean colour and 5 zeros, the first one that of the image.
    """

    def forward(self, images):
        colours = nn.functional.avg_pool2d(images, 8).flatten(2).transpose(1, 2)
        colours = torch.cat([colours.mean(1, keepdim=True), colours], 1)
        features = nn.functional.pad(colours, (0, 5))
        importance = torch.rand(len(images), 1, colours.shape[1], dtype=images.dtype) + 0.1
        return features, importance


def make_model(name, **backbone):
    """Builds a model with a stimulated backbone, with arguments of ``STBackbone``."""
    cfg = copy.deepcopy(CONFIGS[name])
    cfg['backbone'] = {
        **cfg['backbone'],
        'type': 'mmst.STBackbone',
        'wraps': cfg['backbone']['type'],
        **backbone,
    }
    if cfg.get('target_generator', {}).get('type') == 'Targets':
        cfg['target_generator'] = Targets()
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():  # tokens and biases that start at 0
            nn.init.normal_(parameter, std=0.1)
    return model.train()


def make_batch(name, images=3):
    """Makes images and data samples, with the masks that come from a pipeline."""
    side = SIZES.get(name, 64)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(images, 3, side, side, generator=generator)
    cells = {'SimMIM': 16, 'MaskFeat': 14}.get(name)
    samples = [DataSample().set_gt_label(index) for index in range(images)]
    for sample in samples if cells else ():
        sample.set_field((torch.rand(cells, cells, generator=generator) < 0.5).numpy(), 'mask')
        sample.mask = torch.from_numpy(sample.mask).long()
    return {'inputs': inputs, 'data_samples': samples}
