# ResNet-101 on ImageNet with ST++, 100 epochs (section 4.3.1): A1 with all choices, as the authors.
_base_ = './resnet50_a1.py'

model = dict(backbone=dict(depth=101, choices=(3, 4, 23, 3)))
param_scheduler = dict(T_max=100)
train_cfg = dict(max_epochs=100)
