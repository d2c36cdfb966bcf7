# ViT-S/16 on ImageNet, common training: AdamW, 100 epochs, 8 x 256 images (ST++ section 4.3.1).
_base_ = 'mmpretrain::deit/deit-small_4xb256_in1k.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
train_dataloader = dict(batch_size=256)
# The paper gives no more than that. The rate is upstream's in proportion to the batch, with a
# warm-up of DeiT's 5 epochs; augmentation and regularisation are upstream's.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5),
]
train_cfg = dict(max_epochs=100)
auto_scale_lr = dict(base_batch_size=2048)
