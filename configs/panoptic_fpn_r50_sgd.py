# Panoptic FPN R50-FPN, plain training with upstream's SGD: ST++ Tables VIII to XI.
_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
