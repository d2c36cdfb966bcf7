# Cascade R-CNN R50-FPN, plain training with upstream's SGD: ST++ Table VII.
_base_ = 'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
