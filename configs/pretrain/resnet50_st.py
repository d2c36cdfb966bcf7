# Stimulative training of NeurIPS 2022: KL, one subnet, the same inputs. Table III, 77.56 %.
_base_ = ['./resnet50_ct.py', '../_base_/stimulative_logits.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(3, 4, 6, 3)))
default_hooks = dict(stimulative={{_base_.st_kl_hook}})
