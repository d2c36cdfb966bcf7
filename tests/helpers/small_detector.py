"""A small but real Faster R-CNN of mmdet, and samples for it."""

import copy

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

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


def raw_sample(height: int, width: int, boxes, labels=None, seed: int = 0) -> dict:
    """One sample as mmdet's pipeline packs it: a uint8 image and a DetDataSample."""
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.arange(len(boxes)) % 5 if labels is None else torch.tensor(labels)
    size = {'img_shape': (height, width), 'ori_shape': (2 * height, 2 * width)}
    sample = DetDataSample(metainfo={**size, 'scale_factor': (0.5, 0.5), 'img_id': seed})
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:1] + 1, labels=labels[:1])
    return {'inputs': image, 'data_samples': sample}


class Samples(Dataset):
    """Eight images of different sizes, one of them without objects."""

    metainfo = {'classes': list('abcde')}

    def __init__(self, length: int = 8):
        sizes = [(64, 96), (96, 64), (64, 64), (80, 96)]
        self.samples = []
        for index in range(length):
            height, width = sizes[index % 4]
            boxes = [[5, 6, 40, 44], [20, 10, 60, 60]][: index % 4]
            self.samples.append(raw_sample(height, width, boxes, seed=index))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return copy.deepcopy(self.samples[index])
