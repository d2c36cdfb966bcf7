"""A small classifier whose loss is a mean over images, so that batches can be taken apart."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn
from torch.utils.data import Dataset

from mmst.core import DepthSpace, Subnet
from mmst.engine.inputs import RandomSmallerInput


@MODELS.register_module(force=True)
class ToyClassifier(BaseModel):
    """ResNet-18 of mmdet, eight channels wide, and a linear layer."""

    def __init__(self, dropout=0.0, **backbone):
        super().__init__(ImgDataPreprocessor(mean=[127.0] * 3, std=[60.0] * 3))
        settings = {'depth': 18, 'base_channels': 8, 'stem_channels': 8, 'norm_eval': False}
        settings.update(frozen_stages=-1, zero_init_residual=False, choices=(2, 2, 2, 2))
        settings.update(type='mmst.STBackbone', wraps='mmdet.ResNet', **backbone)
        self.backbone = MODELS.build(settings)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64, 5)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        features = self.backbone(inputs)[-1].mean((2, 3))
        logits = self.head(self.dropout(features))
        if mode != 'loss':
            return logits
        labels = torch.cat([sample.gt_instances.labels for sample in data_samples])
        return {'loss': nn.functional.cross_entropy(logits, labels)}


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
        sample = DetDataSample(metainfo={'img_shape': (64, 64), 'scale_factor': (1.0, 1.0)})
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]), labels=torch.tensor([index % 5])
        )
        return {'inputs': image, 'data_samples': sample}


@pytest.fixture
def make_classifier_runner(make_runner):
    """A Runner that trains the classifier on four images in their order."""

    def make(hook, *, batch_size=2, length=4, backbone=None, kind='ToyClassifier', **settings):
        torch.manual_seed(0)
        loader = {
            'dataset': Images(length),
            'batch_size': batch_size,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'collate_fn': {'type': 'pseudo_collate'},
        }
        model = {'type': kind, **(backbone or {})}
        runner = make_runner(hook, model=model, train_dataloader=loader, **settings)
        runner.model.init_weights()
        return runner

    return make


@pytest.fixture
def same_draws(monkeypatch):
    """Every draw gives the same subnet and half the size."""
    monkeypatch.setattr(DepthSpace, 'sample', lambda self, **draw: Subnet((1, 2, 1, 2)))
    monkeypatch.setattr(
        RandomSmallerInput, 'sizes', lambda self, size_hw, draw: [tuple(s // 2 for s in size_hw)]
    )


@pytest.fixture(params=['ground truth', 'logits'])
def hook(request):
    """Settings of a hook whose subnets learn from either: passes before or after the main one."""
    if request.param == 'ground truth':
        return {}
    return {'supervision': {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLMinusLoss'}}}
