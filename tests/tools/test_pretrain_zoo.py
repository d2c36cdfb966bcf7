"""The recipes of ImageNet and CIFAR: what they say, and that they train on mini data."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.utils import register_all_modules
from torch import nn

from mmst.checkpoints import load_checkpoint
from mmst.config import stimulate
from mmst.config.file import load_config
from mmst.config.mini import layout_of
from mmst.core import DepthSpace, active_subnet
from mmst.mini import make_mini_data

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = ROOT / 'pretrain'
SIZES = 'resnet50_st_klminus_snet6_sitrans'
KL, KL_MINUS = 'mmst.KLDivLoss', 'mmst.KLMinusLoss'

# ST++ Table III: subnets, loss, smaller inputs, validation resize, crop, choices, epochs.
TABLE_III = {
    'resnet50_ct': (0, None, False, 256, 224, None, 200),
    'resnet50_st': (1, KL, False, 256, 224, (3, 4, 6, 3), 200),
    'resnet50_st_klminus': (1, KL_MINUS, False, 256, 224, (3, 4, 6, 3), 200),
    'resnet50_st_klminus_snet6': (6, KL_MINUS, False, 256, 224, (3, 4, 6, 3), 200),
    'resnet50_st_sitrans': (1, KL, True, 256, 224, (3, 4, 6, 3), 200),
    SIZES: (6, KL_MINUS, True, 256, 224, (3, 4, 6, 3), 200),
    f'{SIZES}_vrs240': (6, KL_MINUS, True, 240, 224, (3, 4, 6, 3), 200),
    f'{SIZES}_vrs240_tcs200': (6, KL_MINUS, True, 240, 200, (3, 4, 6, 3), 200),
    'resnet50_a1': (6, KL_MINUS, True, 240, 200, 'space3', 200),
    'resnet50_a2': (6, KL_MINUS, True, 240, 200, 'space3', 400),
    'resnet101_ct': (0, None, False, 256, 224, None, 100),
    'resnet101_st': (6, KL_MINUS, True, 240, 200, (3, 4, 23, 3), 100),
    'resnet152_ct': (0, None, False, 256, 224, None, 100),
    'resnet152_st': (6, KL_MINUS, True, 240, 200, (3, 8, 36, 3), 100),
}
MODELS_OF_IMAGES = {
    'mae_vit_small': ('mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py', 'MAEViT'),
    'simmim_swin_tiny': (
        'simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py',
        'SimMIMSwinTransformer',
    ),
}
"""By the name of a config, its base and backbone."""
CIFAR = [
    f'{model}_cifar{classes}_{way}'
    for model in ('resnet50', 'mobilenetv3')
    for classes in (10, 100)
    for way in ('ct', 'st', 'st_klminus')
]
VIT = ['vit_small_ct', 'vit_small_st']
SELF_SUPERVISED = [f'{model}_{way}' for model in MODELS_OF_IMAGES for way in ('ct', 'st')]


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def kinds(pipeline):
    return [transform['type'] for transform in pipeline]


def test_every_recipe_is_covered():
    assert {path.stem for path in CONFIGS.glob('*.py')} == {
        *TABLE_III,
        *CIFAR,
        *VIT,
        *SELF_SUPERVISED,
    }


@pytest.mark.parametrize('name', TABLE_III)
def test_recipe_is_that_of_tables_3_and_5(name):
    subnets, loss, smaller, resize, crop, choices, epochs = TABLE_III[name]
    cfg = load(name)
    optimizer = dict(cfg.optim_wrapper.optimizer)
    optimizer.pop('_scope_', None)
    expected = {'type': 'SGD', 'lr': 0.2, 'momentum': 0.9, 'weight_decay': 1e-4, 'nesterov': True}
    assert optimizer == expected
    assert 'paramwise_cfg' not in cfg.optim_wrapper and cfg.optim_wrapper.get('clip_grad') is None
    assert cfg.param_scheduler == {
        'type': 'CosineAnnealingLR',
        'T_max': epochs,
        'by_epoch': True,
        'convert_to_iter_based': True,
    }
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 512
    train, test = (cfg[f'{part}_dataloader'].dataset.pipeline for part in ('train', 'test'))
    augment = ['mmst.UniformAugment'] if name == 'resnet50_a2' else []
    assert kinds(train) == [
        'LoadImageFromFile',
        'RandomResizedCrop',
        'RandomFlip',
        'ColorJitter',
        'mmst.PCALighting',
        *augment,
        'PackInputs',
    ]
    assert (train[1].scale, test[1].scale, test[2].crop_size) == (crop, resize, 224)
    assert cfg.val_dataloader.dataset.pipeline == test
    assert (train[3].brightness, train[3].contrast, train[3].saturation) == (0.4,) * 3
    assert train[4].alphastd == 0.1
    head_loss = 'CrossEntropyLoss' if loss in (None, KL) else 'mmst.LogitNormCrossEntropyLoss'
    assert cfg.model.head.loss.type == head_loss
    assert cfg.model.backbone.zero_init_residual is False
    hook = cfg.default_hooks.get('stimulative')
    if not subnets:
        assert hook is None and cfg.model.backbone.type == 'ResNet'
        return
    assert (hook.num_subnets, hook.weight, hook.supervision.loss) == (subnets, 1.0, {'type': loss})
    assert hook.supervision.type == 'mmst.LogitSupervision'
    inputs = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.43} if smaller else None
    assert hook.get('inputs') == inputs
    assert (cfg.model.backbone.type, cfg.model.backbone.wraps) == ('mmst.STBackbone', 'ResNet')
    assert cfg.model.backbone.choices == choices


@pytest.mark.parametrize('name', CIFAR)
def test_recipe_of_cifar_is_the_papers(name):
    cfg = load(name)
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.T_max) == (500, 500)
    optimizer = dict(cfg.optim_wrapper.optimizer)
    expected = {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9, 'nesterov': True}
    assert {name: optimizer[name] for name in expected} == expected
    # The paper gives none: it is upstream's.
    assert optimizer['weight_decay'] == (5e-4 if name.startswith('resnet50_cifar100') else 1e-4)
    scheduler = cfg.param_scheduler
    assert (scheduler.type, scheduler.convert_to_iter_based) == ('CosineAnnealingLR', True)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 64
    classes = 100 if 'cifar100' in name else 10
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == classes
    assert cfg.train_dataloader.dataset.type == cfg.val_dataloader.dataset.type == f'CIFAR{classes}'
    hook = cfg.default_hooks.get('stimulative')
    assert (hook is None) == name.endswith('_ct')
    if hook is not None:
        expected = KL_MINUS if name.endswith('klminus') else KL
        assert hook.supervision.loss == {'type': expected}
        assert (hook.num_subnets, hook.get('inputs')) == (1, None)
    is_normalised = cfg.model.head.loss.type == 'mmst.LogitNormCrossEntropyLoss'
    assert is_normalised == name.endswith('klminus')
    assert cfg.test_dataloader.dataset.type == cfg.val_dataloader.dataset.type


@pytest.mark.parametrize('name', VIT)
def test_recipe_of_the_transformer_is_the_papers(name):
    cfg = load(name)
    assert cfg.train_cfg.max_epochs == 100
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 2048
    assert (cfg.optim_wrapper.optimizer.type, cfg.optim_wrapper.optimizer.lr) == ('AdamW', 2e-3)
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.end, cosine.begin) == (5, 5)
    hook = cfg.default_hooks.get('stimulative')
    assert (hook is None) == name.endswith('_ct')
    if hook is not None:
        assert (hook.num_subnets, hook.supervision.loss) == (6, {'type': KL_MINUS})
        assert hook.inputs.size_divisor == cfg.model.backbone.patch_size == 16
        assert hook.inputs.min_ratio == 0.43
        loss = {'type': 'mmst.LogitNormCrossEntropyLoss', 'label_smoothing': 0.1}
        assert cfg.model.head.loss == loss
        assert cfg.model.head.init_cfg.type == 'TruncNormal'


@pytest.mark.parametrize('name', SELF_SUPERVISED)
def test_recipe_of_self_supervised_training_is_upstreams(name):
    """A smaller encoder, and subnets at full size that reconstruct the same images."""
    model, _, way = name.rpartition('_')
    base, wraps = MODELS_OF_IMAGES[model]
    cfg, upstream = load(name), get_config(f'mmpretrain::{base}')
    assert cfg.train_cfg.max_epochs == upstream.train_cfg.max_epochs
    assert cfg.auto_scale_lr == upstream.auto_scale_lr
    assert cfg.optim_wrapper.optimizer.lr == upstream.optim_wrapper.optimizer.lr
    assert cfg.train_dataloader.batch_size == upstream.train_dataloader.batch_size
    hook = cfg.default_hooks.get('stimulative')
    if way == 'ct':
        assert hook is None and cfg.model.backbone.type == wraps
        return
    assert (cfg.model.backbone.type, cfg.model.backbone.wraps) == ('mmst.STBackbone', wraps)
    assert cfg.model.backbone.choices == 'inter_stage'
    expected = load(f'{model}_ct')
    stimulate(expected)
    assert expected.default_hooks.stimulative == {**hook, 'inputs': None}


def test_initial_weights_are_those_of_the_authors():
    """N(0, sqrt(2 / (k k out))) for convolutions, N(0, 0.01) for the linear layer."""
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(load('resnet50_a1').model)
    torch.manual_seed(0)
    model.init_weights()
    modules = dict(model.named_modules())
    convolutions = [m for m in modules.values() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 53
    for layer in convolutions:
        out, _, *kernel = layer.weight.shape
        expected = math.sqrt(2 / (kernel[0] * kernel[1] * out))
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.03)
    norms = [m for m in modules.values() if isinstance(m, nn.BatchNorm2d)]
    assert all((m.weight == 1).all() and (m.bias == 0).all() for m in norms)
    head = modules['head.fc']
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert (head.bias == 0).all()


@pytest.mark.parametrize('name', ['space1', 'space2', 'space3', 'space4', 'space5'])
def test_spaces_of_table_2_are_chosen_by_name(name):
    cfg = load('resnet50_a1')
    cfg.merge_from_dict({'model.backbone.choices': name, 'model.backbone.base_channels': 4})
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(cfg.model.backbone)
    assert backbone.depth_space == DepthSpace((3, 4, 6, 3), name)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini')

    def draw(config):
        layout = layout_of(load_config(str(config)))
        root = folder / layout
        return root if root.exists() else make_mini_data(layout, root, num_train=40, num_val=8)

    return draw


QUICK = ('resnet50_a1',)


@pytest.mark.parametrize(
    'name',
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in (*TABLE_III, *CIFAR, *VIT)
    ],
)
def test_recipe_trains_and_validates_on_mini_data(run_tool, data, tmp_path, name):
    config, work_dir = CONFIGS / f'{name}.py', tmp_path / 'run'
    options = ('--mini', '--data-root', data(config), '--work-dir', work_dir, '--max-iters', 2)
    light = ('--cfg-options', 'default_hooks.checkpoint.save_optimizer=False')
    run_tool('train', config, *options, '--seed', 0, *light)
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    iterations = [line for line in lines if 'loss' in line]
    assert [line['iter'] for line in iterations] == [1, 2]
    assert all(('subnet/loss' in line) == ('_ct' not in name) for line in iterations)
    assert 0 <= lines[-1]['accuracy/top1'] <= 100


def train_on_mini_data(run_tool, data, work_dir, name):
    config = CONFIGS / f'{name}.py'
    options = ('--mini', '--data-root', data(config), '--work-dir', work_dir, '--max-iters', 2)
    light = ('default_hooks.checkpoint.save_optimizer=False', 'train_dataloader.batch_size=4')
    run_tool('train', config, *options, '--seed', 0, '--cfg-options', *light)
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize('name', SELF_SUPERVISED)
def test_self_supervised_recipe_trains_on_mini_data(run_tool, data, tmp_path, name):
    lines = train_on_mini_data(run_tool, data, tmp_path / 'run', name)
    assert [line['iter'] for line in lines] == [1, 2]
    assert all(('subnet/loss' in line) == name.endswith('_st') for line in lines)


@pytest.mark.slow
def test_exported_subnet_of_an_encoder_is_an_ordinary_transformer(run_tool, data, tmp_path):
    """Strictly loaded, with the features of the encoder's subnet for images without a mask."""
    config, run = CONFIGS / 'mae_vit_small_st.py', tmp_path / 'run'
    train_on_mini_data(run_tool, data, run, 'mae_vit_small_st')
    options = ('--depths', '8', '--mini', '--data-root', data(config), '--repeats', 1)
    run_tool('export_subnet', config, run / 'iter_2.pth', tmp_path / 'out', *options)
    (file,) = (tmp_path / 'out').glob('*.pth')
    exported, trained = (load_checkpoint(path)['state_dict'] for path in (file, run / 'iter_2.pth'))
    register_all_modules(init_default_scope=False)
    size = {'arch': 'deit-small', 'img_size': 64, 'patch_size': 16, 'out_type': 'raw'}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        vit, encoder = (
            MODELS.build({'type': 'mmst.STBackbone', 'wraps': wraps, **size, **depths})
            for wraps, depths in (('VisionTransformer', {'depths': (8,)}), ('MAEViT', {}))
        )
    for network, state in ((vit, exported), (encoder, trained)):
        own = {k.removeprefix('backbone.'): v for k, v in state.items() if 'backbone.' in k}
        network.load_state_dict(own, strict=True)
        network.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad(), active_subnet(encoder, (8,)):
        assert torch.equal(vit(images)[0], encoder(images, mask=None)[0])


@pytest.mark.slow
def test_detector_starts_from_a_pretrained_classifier(run_tool, data, tmp_path):
    """Both stages: what a recipe writes goes straight into --weights."""
    classifier, detector = CONFIGS / 'resnet50_a1.py', ROOT / 'faster_rcnn_r50_st.py'
    mini = ('--mini', '--max-iters', 1, '--no-validate', '--seed', 0)
    runs = [tmp_path / 'classifier', tmp_path / 'detector']
    light = ('--cfg-options', 'default_hooks.checkpoint.save_optimizer=False')
    run_tool(
        'train', classifier, *mini, '--data-root', data(classifier), '--work-dir', runs[0], *light
    )
    source = runs[0] / 'iter_1.pth'
    common = (*mini, '--data-root', data(detector), '--work-dir', runs[1], '--weights', source)
    run_tool('train', detector, *common, *light, 'optim_wrapper.optimizer.lr=0.0')
    before, after = (
        load_checkpoint(file)['state_dict'] for file in (source, runs[1] / 'iter_1.pth')
    )
    weights = [name for name in before if name.startswith('backbone.') and name.endswith('weight')]
    assert len(weights) > 100
    assert all((after[name] == before[name]).all() for name in weights)
