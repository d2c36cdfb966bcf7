# MobileNetV3 on CIFAR-100 with stimulative training: KL-, one subnet, the same inputs.
_base_ = './mobilenetv3_cifar100_st.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmst.LogitNormCrossEntropyLoss')))
default_hooks = dict(
    stimulative=dict(supervision=dict(loss=dict(_delete_=True, type='mmst.KLMinusLoss'))))
