"""The core meets layers and networks of the libraries: frozen norm layers, torchvision's ResNet."""

import pytest
import torch
from mmdet.models.layers.brick_wrappers import FrozenBatchNorm2d as mmdet_frozen
from torch import nn
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d as torchvision_frozen

from mmst.core import DepthSpace, depth_cost, recalibrate_norm


@pytest.mark.parametrize('kind', [torchvision_frozen, mmdet_frozen])
def test_frozen_norm_layers_are_not_recalibrated(kind):
    frozen, live = kind(3), nn.BatchNorm2d(3)
    frozen.running_mean.fill_(2)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(frozen, live)
    with recalibrate_norm(model, [images]):
        assert frozen.running_mean.tolist() == [2, 2, 2]
        torch.testing.assert_close(live.running_mean, frozen(images).mean((0, 2, 3)))
    message = 'norm layer whose running statistics change in training, got none'
    with pytest.raises(ValueError, match=message), recalibrate_norm(frozen, [images]):
        pass


def test_expected_cost_of_a_resnet50_in_the_best_space_of_the_paper():
    cost = depth_cost(resnet50())
    assert 0.88 < cost.expected_ratio(DepthSpace((3, 4, 6, 3), (1, 2, 4, 1))) < 0.90
