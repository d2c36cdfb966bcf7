# ResNet-50 on CIFAR-10 with stimulative training: KL-, one subnet, the same inputs.
_base_ = './resnet50_cifar10_st.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmst.LogitNormCrossEntropyLoss')))
default_hooks = dict(
    stimulative=dict(supervision=dict(loss=dict(_delete_=True, type='mmst.KLMinusLoss'))))
