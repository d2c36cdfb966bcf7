# The same, trained on crops of 200. Table III, 80.04 %.
_base_ = './resnet50_st_klminus_snet6_sitrans_vrs240.py'

train_pipeline = [
    _base_.train_pipeline[0],
    dict(type='RandomResizedCrop', scale=200, backend='pillow'),
    *_base_.train_pipeline[2:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
