# ST with KL- and six subnets. Table III, 78.53 %.
_base_ = './resnet50_st.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmst.LogitNormCrossEntropyLoss')))
default_hooks = dict(
    stimulative=dict(
        num_subnets=6,
        supervision=dict(loss=dict(_delete_=True, type='mmst.KLMinusLoss'))))
