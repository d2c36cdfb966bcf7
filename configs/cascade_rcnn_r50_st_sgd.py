# Cascade R-CNN R50-FPN with stimulative training (ST*) and SGD: ST++ Table VII with --weights st.
_base_ = ['./cascade_rcnn_r50_sgd.py', './_base_/stimulative.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))
default_hooks = dict(stimulative={{_base_.st_star_hook}})
