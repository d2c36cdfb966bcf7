# MobileNetV3 on CIFAR-100 with stimulative training: KL, one subnet, the same inputs.
_base_ = ['./mobilenetv3_cifar100_ct.py', '../_base_/stimulative_logits.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='MobileNetV3'))
default_hooks = dict(stimulative={{_base_.st_kl_hook}})
