# ViT-S/16 on ImageNet, MAE with subnets of 6 to 12 layers of the encoder. ST++ section 7 names
# self-supervised pre-training as future work: the settings are not the paper's.
_base_ = './mae_vit_small_ct.py'

model = dict(backbone=dict(type='mmst.STBackbone', wraps='MAEViT', choices='inter_stage'))
# Images keep their size, for which position embeddings and decoder are made.
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.GroundTruthSupervision')))
