# The same with stimulative training: subnets learn from the labels, on smaller inputs (ST*).
_base_ = './bccd_effnet_lite0.py'

model = dict(
    backbone=dict(
        type='mmst.STBackbone',
        wraps='mmpretrain.TIMMBackbone',
        # Those of grocery_effnet_lite0_st.py.
        choices=(1, 1, 2, 2, 2, 3, 1),
    )
)
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        num_subnets=1,
        weight=1.0,
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43),
    )
)
