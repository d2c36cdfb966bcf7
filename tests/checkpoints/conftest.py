"""Networks with random weights and statistics, and their files."""

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from torch import nn


def filled(create, *args, **kwargs):
    """A new model with random weights and norm layers that are no identity, without its own init.

    Its weights are of float32, to keep files small; ``.double()`` makes comparisons exact.
    """
    with torch.device('meta'):
        model = create(*args, **kwargs)
    model.to_empty(device='cpu').eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            tensor.zero_()
        elif tensor.ndim > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        else:
            low = 0.5 if name.endswith(('weight', 'running_var')) else -0.2
            tensor.uniform_(low, low + 1, generator=generator)
    return model


@pytest.fixture(scope='session')
def fill():
    return filled


@pytest.fixture
def warnings(capsys):
    """Function that returns the text logged since its last call."""
    MMLogger._instance_dict.clear()  # An earlier test's writes to another stream.
    return lambda: capsys.readouterr().out


@pytest.fixture
def build(monkeypatch):
    """Builds a module of one of the OpenMMLab libraries."""

    def make(library, **config):
        pytest.importorskip(library)
        utils = pytest.importorskip(f'{library}.utils')
        utils.register_all_modules(init_default_scope=False)
        with DefaultScope.overwrite_default_scope(library), monkeypatch.context() as patch:
            for layer in (nn.Conv2d, nn.Linear):  # half of the time, and overwritten anyway
                patch.setattr(layer, 'reset_parameters', lambda self: None)
            with torch.device('cpu'):  # mmpretrain's ResNet computes while it is built
                model = MODELS.build(config)
        model.eval()  # backbones of OpenMMLab return nothing here
        return model

    return make


@pytest.fixture
def outputs_with(images):
    """Outputs in float64 of a model of OpenMMLab with the weights of a state dict."""

    def run(model, state_dict, **arguments):
        model.load_state_dict(state_dict, strict=True, assign=True)
        with torch.no_grad():
            return model.double()(images, **arguments)

    return run


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


@pytest.fixture(scope='session')
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 64, 64, generator=generator, dtype=torch.float64)


@pytest.fixture(scope='session')
def resnet18():
    """State dict of torchvision's ResNet-18 with 10 classes."""
    torchvision = pytest.importorskip('torchvision')
    return filled(torchvision.models.resnet18, num_classes=10).state_dict()
