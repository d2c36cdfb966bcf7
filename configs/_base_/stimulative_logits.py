# Pre-training as in NeurIPS 2022 (ST): KL, one subnet, the same inputs.
# A config takes it with default_hooks = dict(stimulative={{_base_.st_kl_hook}}).
st_kl_hook = dict(
    type='mmst.StimulativeHook',
    num_subnets=1,
    weight=1.0,
    supervision=dict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLDivLoss')))
