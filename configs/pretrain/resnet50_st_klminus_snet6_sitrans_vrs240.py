# The same, validated on images resized to 240. Table III, 79.91 %.
_base_ = './resnet50_st_klminus_snet6_sitrans.py'

test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='ResizeEdge', scale=240, edge='short', backend='pillow'),
    *_base_.test_pipeline[2:],
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
