# ResNet-50 on CIFAR-10, common training: SGD, 500 epochs, batches of 64 (ST++ section 4.3.1).
_base_ = 'mmpretrain::resnet/resnet50_8xb16_cifar10.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
train_dataloader = dict(batch_size=64)
# The paper does not give the rate; this is upstream's 0.1 for 128 images.
optim_wrapper = dict(optimizer=dict(lr=0.05, nesterov=True))
param_scheduler = dict(
    _delete_=True, type='CosineAnnealingLR', T_max=500, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(max_epochs=500)
auto_scale_lr = dict(base_batch_size=64)
