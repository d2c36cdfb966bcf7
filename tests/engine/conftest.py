"""Runs of toy models; tests that train a detector of mmdet ask for ``make_runner``."""

import pytest
import torch
from detections import Detections, preprocessed_batches
from recorded_run import HOOK, loader
from toy_classifier import Images, Sample
from toy_detector import ToyDetector

from mmst.core import DepthSpace, Subnet
from mmst.engine.inputs import RandomSmallerInput


@pytest.fixture
def default_scope():
    """None: mmengine's modules need no scope."""


@pytest.fixture
def make_classifier_runner(build_runner):
    """A Runner that trains the classifier on four images in their order."""

    def make(hook, *, batch_size=2, length=4, backbone=None, kind='ToyClassifier', **settings):
        torch.manual_seed(0)
        settings.setdefault('train_dataloader', loader(Images(length), batch_size, shuffle=False))
        model = {'type': kind, **(backbone or {})}
        runner = build_runner(hook, model=model, default_scope='mmengine', **settings)
        runner.model.init_weights()
        return runner

    return make


@pytest.fixture
def make_toy():
    """A toy detector in training mode, always with the same weights."""

    def make(**settings):
        torch.manual_seed(0)
        model = ToyDetector(**settings)
        model.init_weights()
        model.train()
        return model

    return make


@pytest.fixture
def toy_batch():
    """Preprocesses images with data samples of mmengine alone for a model."""
    return preprocessed_batches(Sample)


@pytest.fixture
def make_toy_runner(build_runner):
    """A Runner that trains the toy detector on shuffled images of several sizes."""

    def make(hook=HOOK, *, samples=8, shuffle=True, model=(), **settings):
        data = loader(Detections(Sample, samples), shuffle=shuffle)
        model = {'type': 'ToyDetector', **dict(model)}
        settings = {'train_dataloader': data, 'default_scope': 'mmengine', **settings}
        return build_runner(hook, model=model, **settings)

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


@pytest.fixture(params=['main_first', 'subnets_first'])
def order(request):
    """Whose backward comes first."""
    return request.param


@pytest.fixture
def ordered_hook(hook, order):
    """The same settings with either order."""
    return {**hook, 'order': order}
