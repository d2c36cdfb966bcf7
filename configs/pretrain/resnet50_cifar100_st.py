# ResNet-50 on CIFAR-100 with stimulative training: KL, one subnet, the same inputs.
_base_ = './resnet50_cifar100_ct.py'

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet_CIFAR'))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLDivLoss'))))
