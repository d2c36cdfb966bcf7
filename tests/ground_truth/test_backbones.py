"""Upstream's configs of backbones other than a plain ResNet train subnets on smaller inputs."""

import pytest
import torch
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules as register_mmseg

from mmst.core import residual_stages
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.model_parts import find_stimulated_backbone

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')
HALF = RandomSmallerInput(0.5).smallest_sizes


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
    small = subnet_batch(model, torch.randn(2, 3, 64, 64), samples, list_sizes=HALF)
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


@pytest.mark.parametrize(
    ('config', 'part'),
    [
        ('icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832.py', 'backbone.backbone'),
        (
            'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
            'backbone.context_path.backbone',
        ),
    ],
)
def test_subnet_of_the_resnet_in_another_backbone_is_trained(config, part, train_on):
    """The refusals of these two backbones advise it."""
    model = get_config(f'mmseg::{config}').model
    inner = model.backbone.backbone_cfg
    model.data_preprocessor.size = None
    torch.manual_seed(0)
    register_mmseg(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        with pytest.raises(TypeError, match='Give that one the type: backbone_cfg='):
            MODELS.build(
                {**model.backbone, 'type': 'mmst.STBackbone', 'wraps': model.backbone.type}
            )
        inner.update(type='mmst.STBackbone', wraps=inner.type, init_cfg=None)
        model = revert_sync_batchnorm(MODELS.build(model)).train()
    backbone = find_stimulated_backbone(model)
    assert backbone is model.get_submodule(part)
    samples = []
    for seed in (1, 2):
        image = {'img_shape': torch.Size((128, 192)), 'pad_shape': (128, 192)}
        sample = SegDataSample(metainfo=image)
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 19, (1, 128, 192), generator=generator)
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    small = subnet_batch(model, torch.randn(2, 3, 128, 192), samples, list_sizes=HALF)
    values, idle = train_on(model, small, (1, 2, 1, 2), backbone)
    assert values['loss'] > 0.1
    expected = (f'{part}.layer1.1.', f'{part}.layer3.1.')
    assert idle and all(name.startswith(expected) for name in idle)
