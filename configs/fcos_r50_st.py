# FCOS R50-FPN with stimulative training (ST*): ST++ Table VI with --weights st.
_base_ = ['./fcos_r50.py', './_base_/stimulative.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))
default_hooks = dict(stimulative={{_base_.st_star_hook}})
