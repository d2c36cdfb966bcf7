import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet


@pytest.fixture
def resnet() -> nn.Module:
    """A torchvision ResNet with stages of 2, 3, 2, 1 blocks whose branches are not zero."""
    torch.manual_seed(0)
    model = ResNet(Bottleneck, [2, 3, 2, 1], num_classes=5)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.0)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
