# FPN R50 for semantic segmentation, plain training with AdamW: ST++ Table XII.
_base_ = 'mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)

# Upstream's ResNetV1c has three 3x3 convolutions as its stem, the paper's ResNet-50s one of 7x7.
model = dict(
    pretrained=None,
    backbone=dict(
        type='ResNet', init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))

# The schedule stays upstream's, down to a rate of 1e-4; the paper gives none.
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=5e-4, weight_decay=0.05))
