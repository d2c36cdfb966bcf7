# FPN R50 for semantic segmentation with stimulative training: ST++ Table XII has no such row.
_base_ = ['./fpn_cityscapes_r50.py', './_base_/stimulative.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))
default_hooks = dict(stimulative={{_base_.st_star_hook}})
