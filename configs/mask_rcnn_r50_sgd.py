# Mask R-CNN R50-FPN, plain training with upstream's SGD: ST++ Tables VIII to XI.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
