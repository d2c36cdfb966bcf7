# ViT-S/16 on ImageNet with ST++: KL-, six subnets of 1 to 12 layers, random smaller inputs.
_base_ = './vit_small_ct.py'

model = dict(
    backbone=dict(type='mmst.STBackbone', wraps='VisionTransformer'),
    head=dict(
        # Upstream's head starts with zeros, and logits of zero have no direction.
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        loss=dict(_delete_=True, type='mmst.LogitNormCrossEntropyLoss', label_smoothing=0.1)))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=6,
        weight=1.0,
        supervision=dict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLMinusLoss')),
        # Whole patches of 16 pixels.
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43, size_divisor=16)))
