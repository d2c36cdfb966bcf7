# ST++ A2: A1 with UniformAugment and 400 epochs. Tables III and V, 81.0 %.
_base_ = './resnet50_a1.py'

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='mmst.UniformAugment'),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
param_scheduler = dict(T_max=400)
train_cfg = dict(max_epochs=400)
