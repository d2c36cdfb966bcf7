# ResNet-50 on ImageNet, common training, 200 epochs, 8 x 64 images: ST++ Table III, 76.7 % top-1.
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(zero_init_residual=False))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='mmst.PCALighting', alphastd=0.1),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=0.2, nesterov=True))
param_scheduler = dict(
    _delete_=True, type='CosineAnnealingLR', T_max=200, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=512)
