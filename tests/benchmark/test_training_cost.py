"""FLOPs of a training, by hand."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch.utils.flop_counter import FlopCounterMode

from mmst.benchmark import TrainingCost, equal_iters, training_cost

MODEL = {
    'type': 'mmpretrain.ImageClassifier',
    'backbone': {
        'type': 'mmst.STBackbone',
        'wraps': 'mmpretrain.ResNet',
        'depth': 18,
        'base_channels': 8,
        'stem_channels': 8,
        'choices': [1, 2, 2, 1],
    },
    'neck': {'type': 'mmpretrain.GlobalAveragePooling'},
    'head': {'type': 'mmpretrain.LinearClsHead', 'num_classes': 10, 'in_channels': 64},
}
HOOK = {
    'type': 'mmst.StimulativeHook',
    'supervision': {'type': 'mmst.GroundTruthSupervision'},
    'num_subnets': 2,
}
SIDE = 64


def config(hook=None, **model):
    hooks = {} if hook is None else {'stimulative': {**HOOK, **hook}}
    return Config(
        {
            'default_scope': 'mmpretrain',
            'model': {**MODEL, **model},
            'train_dataloader': {'batch_size': 4},
            'default_hooks': hooks,
        }
    )


def convolution(channels_in, channels_out, kernel, side):
    return 2 * channels_in * channels_out * kernel**2 * side**2


def resnet18():
    """FLOPs of the whole network, and of the second block of each stage."""
    stem = convolution(3, 8, 7, SIDE // 2)
    first, second = [], []
    for stage, width in enumerate((8, 16, 32, 64)):
        side = SIDE // 4 // 2**stage
        own = convolution(width, width, 3, side)
        wider = width // 2 if stage else width
        shortcut = convolution(wider, width, 1, side) if stage else 0
        first.append(convolution(wider, width, 3, side) + own + shortcut)
        second.append(2 * own)
    return stem + sum(first) + sum(second), second, 2 * 64 * 10


def test_a_plain_training_is_three_forward_passes_an_image():
    backbone, _, head = resnet18()
    cost = training_cost(config(), (SIDE, SIDE), iters=7)
    assert cost == TrainingCost(backbone + head, batch_size=4, passes=1.0)
    assert cost.flops(7) == 3 * 7 * 4 * (backbone + head)
    assert cost.flops(7, passes=0.5) == cost.flops(7) / 2


def test_a_step_really_counts_so_but_for_the_gradient_of_the_images():
    cfg = config()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).train()
    samples = [DataSample().set_gt_label(index) for index in range(4)]
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(4, 3, SIDE, SIDE), samples, mode='loss')['loss'].backward()
    stem = 4 * convolution(3, 8, 7, SIDE // 2)
    assert counter.get_total_flops() == training_cost(cfg, (SIDE, SIDE), 1).flops(1) - stem


def test_subnets_add_their_expected_share_of_the_backbone():
    backbone, second, _ = resnet18()
    # Stages 2 and 3 lose their second block half of the time.
    depth = 1 - (second[1] + second[2]) / 2 / backbone
    full_size = training_cost(config({}), (SIDE, SIDE), iters=10)
    assert full_size.passes == pytest.approx(1 + 2 * depth)
    smaller = {'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5}}
    area = (1 + 0.5 + 0.25) / 3
    assert training_cost(config(smaller), (SIDE, SIDE), 10).passes == pytest.approx(
        1 + 2 * depth * area
    )
    # Iterations 4, 7 of 10, on a quarter of the images.
    sparse = training_cost(
        config({'begin': 4, 'interval': 3, 'batch_fraction': 0.25}), (SIDE, SIDE), 10
    )
    assert sparse.stimulated == 0.2
    assert sparse.passes == pytest.approx(1 + 0.2 * 2 * 0.25 * depth)


@MODELS.register_module()
class HalfTheArea(ClsDataPreprocessor):
    expected_area_ratio = 0.5


def test_smaller_inputs_of_the_main_network_cost_less():
    cfg = config(data_preprocessor={'type': 'HalfTheArea'})
    assert training_cost(cfg, (SIDE, SIDE), 10).passes == 0.5


def test_equal_flops_are_reached_and_not_passed_by_more_than_an_iteration():
    cost, own = TrainingCost(1000, 32, passes=1.48), TrainingCost(1000, 16, passes=0.54)
    iters = equal_iters(820, cost, own)
    assert own.flops(iters - 1) < cost.flops(820) <= own.flops(iters)
    assert equal_iters(820, cost, cost) == 820


@MODELS.register_module()
class Identity(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


def test_a_model_without_products_is_refused():
    cfg = config()
    cfg.model = {'type': 'Identity'}
    with pytest.raises(ValueError, match='to count FLOPs, got none'):
        training_cost(cfg, (SIDE, SIDE), 10)
