"""Upstream's configs of backbones other than ResNet train subnets on smaller inputs."""

import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules

from mmst.core import residual_stages
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput

HALF = RandomSmallerInput(0.5).smallest


@pytest.fixture(autouse=True)
def mmpretrain_scope(mmdet_scope):
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.mark.parametrize(
    ('config', 'changes', 'depths'),
    [
        ('deit/deit-tiny_4xb256_in1k.py', {'img_size': 64}, (7,)),
        ('swin_transformer/swin-tiny_16xb64_in1k.py', {'pad_small_map': True}, (1, 2, 3, 1)),
        ('mobilenet_v2/mobilenet-v2_8xb32_in1k.py', {}, (1, 1, 2, 3, 1, 2, 1)),
        ('mobilenet_v3/mobilenet-v3-small-050_8xb128_in1k.py', {}, (1, 1, 3, 2)),
    ],
)
def test_subnet_of_an_upstream_config_is_trained(config, changes, depths, train_on):
    model = get_config(f'mmpretrain::{config}').model
    wraps = model.backbone.type
    model.backbone.update(type='mmst.STBackbone', wraps=wraps, drop_path_rate=0.0, **changes)
    if wraps.startswith('MobileNet'):
        del model.backbone['drop_path_rate']
    model.update(data_preprocessor={'num_classes': 1000}, train_cfg=None)
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.train()
    samples = [DataSample().set_gt_label(label) for label in (1, 2)]
    small = subnet_batch(model, torch.randn(2, 3, 64, 64), samples, choose_size=HALF)
    assert small.inputs.shape[-2:] == (32, 32)
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    values, idle = train_on(model, small, depths)
    assert torch.isfinite(values['loss'])
    assert all(torch.equal(value, statistics[name]) for name, value in model.named_buffers())
    blocks = [
        block.module
        for stage, depth in zip(residual_stages(model.backbone), depths, strict=True)
        for block in stage[depth:]
    ]
    skipped = {id(parameter) for block in blocks for parameter in block.parameters()}
    assert idle == {name for name, value in model.named_parameters() if id(value) in skipped}
