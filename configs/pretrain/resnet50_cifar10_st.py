# ResNet-50 on CIFAR-10 with stimulative training: KL, one subnet, the same inputs.
_base_ = ['./resnet50_cifar10_ct.py', '../_base_/stimulative_logits.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet_CIFAR'))
default_hooks = dict(stimulative={{_base_.st_kl_hook}})
