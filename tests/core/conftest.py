import pytest
import torch
from toy_resnet import ResNet, randomize_norm


@pytest.fixture
def default_scope():
    """None: here torch is the only library."""


@pytest.fixture
def resnet() -> ResNet:
    """Stages of 2, 3, 2 and 1 blocks whose branches are not zero."""
    torch.manual_seed(0)
    model = ResNet([2, 3, 2, 1])
    randomize_norm(model)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
