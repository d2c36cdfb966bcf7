"""A small detector in mmengine alone, which does what makes subnet passes hard."""

import random

import numpy as np
import torch
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional as F
from toy_classifier import ToyResNet


class Preprocessor(ImgDataPreprocessor):
    """Pads to multiples of 32 pixels, and tells the data samples to what size."""

    def __init__(self):
        super().__init__(mean=[127.0] * 3, std=[60.0] * 3, pad_size_divisor=32)

    def forward(self, data, training=False):
        data = super().forward(data, training)
        for sample in data['data_samples']:
            sample.set_metainfo({'batch_input_shape': tuple(data['inputs'].shape[-2:])})
        return data


@MODELS.register_module(force=True)
class ToyDetector(BaseModel):
    """Finds label and corners of the objects of an image from the mean of its features.

    It has norm layers in its neck, and spoils its ground truth.

    Args:
        noise: Whether it draws from all random generators.
        stimulated: Whether its backbone is an STBackbone.
        **backbone: Settings of the backbone.
    """

    def __init__(self, noise=True, stimulated=True, **backbone):
        super().__init__(Preprocessor())
        stimulated_type = {'type': 'mmst.STBackbone', 'wraps': ToyResNet}
        kind = stimulated_type if stimulated else {'type': ToyResNet}
        self.backbone = MODELS.build({**kind, **backbone})
        self.noise = noise
        self.neck = nn.Sequential(nn.Conv2d(64, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5 * noise), nn.Linear(16, 5 + 4))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = self.head(self.neck(self.backbone(inputs)[-1]).mean((2, 3)))
        if mode != 'loss':
            return outputs
        objects = [sample.gt_instances for sample in data_samples]
        images = [image for image, one in enumerate(objects) for _ in one.labels]
        scores, corners = outputs[images].split((5, 4), dim=1)
        labels = torch.cat([one.labels for one in objects])
        bboxes = torch.cat([one.bboxes for one in objects]) / 32
        if self.noise:
            bboxes += random.random() + np.random.rand()
        for one in objects:
            one.bboxes.zero_()
        count = max(len(images), 1)
        return {
            'loss_cls': F.cross_entropy(scores, labels, reduction='sum') / count,
            'loss_bbox': F.smooth_l1_loss(corners, bboxes, reduction='sum') / count,
            'acc': (scores.argmax(1) == labels).sum() / count,
        }
