# The best setting of the paper for fine-tuning a ResNet-50 (ST*).
# A config takes it with default_hooks = dict(stimulative={{_base_.st_star_hook}}).
st_star_hook = dict(
    type='mmst.StimulativeHook',
    num_subnets=1,
    weight=1.0,
    supervision=dict(type='mmst.GroundTruthSupervision'),
    inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43))
