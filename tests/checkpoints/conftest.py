"""Networks with random weights and statistics, and their files."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn


def shaken(model):
    """The model in float64, with norm layers that are no identity."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.weight, 0.5),
                (module.bias, -0.2),
                (module.running_mean, -0.2),
                (module.running_var, 0.5),
            ):
                tensor.data.copy_(low + torch.rand(tensor.shape, generator=generator))
    model.double().eval()
    return model


@pytest.fixture
def shake():
    return shaken


@pytest.fixture
def build():
    """Builds a module of one of the OpenMMLab libraries, for float64."""

    def make(library, **config):
        pytest.importorskip(library)
        utils = pytest.importorskip(f'{library}.utils')
        utils.register_all_modules(init_default_scope=False)
        with DefaultScope.overwrite_default_scope(library):
            model = MODELS.build(config).double()
        model.eval()  # backbones of OpenMMLab return nothing here
        return model

    return make


@pytest.fixture
def classifier(build):
    """An ImageClassifier of mmpretrain with 10 classes."""

    def make(channels, **backbone):
        return build(
            'mmpretrain',
            type='ImageClassifier',
            backbone=backbone,
            neck={'type': 'GlobalAveragePooling'},
            head={'type': 'LinearClsHead', 'num_classes': 10, 'in_channels': channels},
        )

    return make


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 64, 64, generator=generator, dtype=torch.float64)


@pytest.fixture(scope='session')
def resnet18():
    """State dict of torchvision's ResNet-18 with 10 classes."""
    torchvision = pytest.importorskip('torchvision')
    torch.manual_seed(2)
    return shaken(torchvision.models.resnet18(weights=None, num_classes=10)).float().state_dict()
