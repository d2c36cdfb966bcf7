# FCOS R50-FPN, plain training with SGD: ST++ Table VII.
_base_ = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)

# Upstream's FCOS is for Caffe weights; the paper's four ResNet-50s have the other stride placement.
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        style='pytorch',
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))

optim_wrapper = dict(optimizer=dict(lr=0.02))
