"""A small classifier in mmengine alone, whose loss is a mean over images, and its data."""

import numpy as np
import torch
from mmengine.model import BaseModel, BaseModule, ImgDataPreprocessor
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, InstanceData
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset
from toy_resnet import resnet_stages

from mmst.core import register_residual_stages
from mmst.ground_truth import Task, register_ground_truth, register_task


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3 pixels beside a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, norm: type[nn.Module], with_cp: bool
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample = None
        if stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, norm(outputs))
        self.with_cp = with_cp

    def _sum(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return y + (x if self.downsample is None else self.downsample(x))

    def forward(self, x):
        if self.with_cp and x.requires_grad:
            return checkpoint(self._sum, x, use_reentrant=False).relu()
        return self._sum(x).relu()


class ToyResNet(BaseModule):
    """ResNet-18, eight channels wide, with the settings of OpenMMLab's; returns its last map."""

    def __init__(self, frozen_stages=-1, norm_eval=False, norm_cfg=None, with_cp=False):
        super().__init__(init_cfg={'type': 'Kaiming', 'layer': 'Conv2d'})
        norm = MODELS.get((norm_cfg or {'type': 'BN'})['type']) if norm_cfg else nn.BatchNorm2d
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = norm(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = (8, 8, 16, 32, 64)
        for stage in (1, 2, 3, 4):
            inputs, outputs = widths[stage - 1 : stage + 1]
            first = BasicBlock(inputs, outputs, 1 if stage == 1 else 2, norm, with_cp)
            second = BasicBlock(outputs, outputs, 1, norm, with_cp)
            self.add_module(f'layer{stage}', nn.Sequential(first, second))

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return (x,)

    def train(self, mode=True):
        super().train(mode)
        stem = [self.conv1, self.bn1] if self.frozen_stages >= 0 else []
        stages = [getattr(self, f'layer{stage}') for stage in range(1, self.frozen_stages + 1)]
        for part in stem + stages:
            part.eval().requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


register_residual_stages(ToyResNet)(resnet_stages)


@MODELS.register_module(force=True)
class ToyClassifier(BaseModel):
    """The backbone and a linear layer."""

    def __init__(self, dropout=0.0, **backbone):
        super().__init__(ImgDataPreprocessor(mean=[127.0] * 3, std=[60.0] * 3))
        settings = {'choices': (2, 2, 2, 2), **backbone}
        self.backbone = MODELS.build({'type': 'mmst.STBackbone', 'wraps': ToyResNet, **settings})
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64, 5)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        features = self.backbone(inputs)[-1].mean((2, 3))
        logits = self.head(self.dropout(features))
        if mode != 'loss':
            return logits
        labels = torch.cat([sample.gt_instances.labels for sample in data_samples])
        return {'loss': nn.functional.cross_entropy(logits, labels)}


class Sample(BaseDataElement):
    """Boxes and labels of the objects in an image, in ``gt_instances``."""


@register_task(Sample)
class SampleTask(Task):
    """Images have the size that their samples give."""

    def image_sizes(self, inputs, data_samples):
        return [sample.img_shape for sample in data_samples]


@register_ground_truth(Sample, 'gt_instances.bboxes', 'ignored_instances.bboxes')
def resize_boxes(boxes, resize):
    return boxes * boxes.new_tensor(resize.factor_xy * 2)


@register_ground_truth(Sample, 'gt_instances.labels', 'ignored_instances.labels')
def copy_labels(labels, resize):
    return labels.clone()


class Images(Dataset):
    """Images of 64 x 64 pixels with one box each."""

    metainfo = {'classes': list('abcde')}

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = torch.from_numpy(rng.integers(0, 256, (3, 64, 64), dtype=np.uint8))
        sample = Sample(metainfo={'img_shape': (64, 64), 'scale_factor': (1.0, 1.0)})
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]), labels=torch.tensor([index % 5])
        )
        return {'inputs': image, 'data_samples': sample}
