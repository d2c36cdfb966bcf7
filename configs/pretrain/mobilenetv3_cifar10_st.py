# MobileNetV3 on CIFAR-10 with stimulative training: KL, one subnet, the same inputs.
_base_ = './mobilenetv3_cifar10_ct.py'

model = dict(backbone=dict(type='mmst.STBackbone', wraps='MobileNetV3'))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLDivLoss'))))
