# Stimulative training of NeurIPS 2022: KL, one subnet, the same inputs. Table III, 77.56 %.
_base_ = './resnet50_ct.py'

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(3, 4, 6, 3)))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLDivLoss'))))
