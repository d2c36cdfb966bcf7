"""A small but real Faster R-CNN of mmdet."""

from mmengine.config import ConfigDict
from mmengine.hub import get_config

import mmst  # noqa: F401 - registers what the configs below name


def make_detector_config(**backbone) -> ConfigDict:
    """mmdet's Faster R-CNN R50-FPN with ResNet-18, live BatchNorm and few proposals."""
    model = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    model.backbone.update(
        type='mmst.STBackbone',
        wraps='ResNet',
        depth=18,
        frozen_stages=-1,
        norm_eval=False,
        zero_init_residual=False,
        init_cfg=None,
    )
    model.neck.in_channels = [64, 128, 256, 512]
    model.roi_head.bbox_head.num_classes = 5
    model.roi_head.bbox_head.fc_out_channels = 64
    model.train_cfg.rpn_proposal.update(nms_pre=64, max_per_img=16)
    model.train_cfg.rcnn.sampler.num = 16
    model.train_cfg.rpn.sampler.num = 32
    model.backbone.update(backbone)
    return model
