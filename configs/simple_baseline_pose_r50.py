# SimpleBaseline2D R50, plain training with Adam: ST++ Table XIII.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
