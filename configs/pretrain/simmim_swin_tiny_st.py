# Swin-T on ImageNet, SimMIM with subnets of the encoder: see mae_vit_small_st.py.
_base_ = './simmim_swin_tiny_ct.py'

model = dict(
    backbone=dict(type='mmst.STBackbone', wraps='SimMIMSwinTransformer', choices='inter_stage'))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.GroundTruthSupervision')))
