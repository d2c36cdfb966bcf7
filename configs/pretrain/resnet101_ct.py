# ResNet-101 on ImageNet, common training, 100 epochs (ST++ section 4.3.1).
_base_ = './resnet50_ct.py'

model = dict(backbone=dict(depth=101))
param_scheduler = dict(T_max=100)
train_cfg = dict(max_epochs=100)
