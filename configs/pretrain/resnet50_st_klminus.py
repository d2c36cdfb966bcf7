# ST with KL- in the place of KL.
_base_ = './resnet50_st.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmst.LogitNormCrossEntropyLoss')))
default_hooks = dict(
    stimulative=dict(supervision=dict(loss=dict(_delete_=True, type='mmst.KLMinusLoss'))))
