# ATSS R50-FPN, plain training with SGD: ST++ Table VII.
_base_ = 'mmdet::atss/atss_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)

optim_wrapper = dict(optimizer=dict(lr=0.02))
