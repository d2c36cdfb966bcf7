# Faster R-CNN R50-FPN with stimulative training (ST*): ST++ Table VI with --weights st.
_base_ = './faster_rcnn_r50.py'

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))

default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)))
