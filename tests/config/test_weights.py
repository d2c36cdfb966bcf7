"""--weights: what the backbone starts from, and that it really fits."""

import pytest
import torch
from built_backbone import built, same
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

import mmst  # noqa: F401  (registers STBackbone)
from mmst.checkpoints import UntrustedCheckpointError
from mmst.config import set_weights
from mmst.config.named_weights import NAMED_WEIGHTS

pytest.importorskip('mmdet')
pytest.importorskip('mmpretrain')

RESNET = {'type': 'ResNet', 'depth': 50, 'num_stages': 4, 'frozen_stages': 1, 'style': 'pytorch'}
SMALL = {'type': 'ResNet', 'depth': 18, 'base_channels': 4, 'stem_channels': 4}


def config(backbone, scope='mmdet', **model):
    return Config({'default_scope': scope, 'model': {'backbone': backbone, **model}})


def save(state_dict, file, **extra):
    torch.save({'state_dict': state_dict, **extra} if extra else state_dict, file)
    return str(file)


@pytest.fixture(scope='module')
def small():
    torch.manual_seed(3)
    return built(config(SMALL)).state_dict()


@pytest.mark.parametrize('name', ['base', 'tnr'])
def test_published_weights_are_a_url_mmengine_knows(name):
    from mmengine.runner.checkpoint import get_torchvision_models

    cfg = set_weights(config(RESNET), name)
    source = cfg.model.backbone.init_cfg.checkpoint
    assert source.removeprefix('torchvision://') in get_torchvision_models()


@pytest.mark.parametrize(
    ('name', 'remedy'),
    [('timm', 'download it with: curl .*resnet50_a1'), ('st', r'tools/convert_checkpoint\.py')],
)
def test_a_missing_named_file_says_how_to_get_it(name, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf'resnet50_{name}\.pth.*{remedy}'):
        set_weights(config(RESNET), name)


def test_a_named_file_is_used_when_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'checkpoints').mkdir()
    save(built(config(RESNET)).state_dict(), NAMED_WEIGHTS['st'].source)
    cfg = set_weights(config(RESNET, load_from=None), 'st')
    assert dict(cfg.model.backbone.init_cfg) == {
        'type': 'Pretrained',
        'checkpoint': 'checkpoints/resnet50_st.pth',
    }


@pytest.mark.parametrize(
    'change', [{'depth': 101}, {'type': 'ResNetV1d'}, {'style': 'caffe'}, {'wraps': 'ResNeXt'}]
)
def test_named_weights_need_a_plain_resnet50(change):
    backbone = {**RESNET, **change}
    if 'wraps' in change:
        backbone['type'] = 'mmst.STBackbone'
    wrong = next(iter(change.values()))
    with pytest.raises(ValueError, match=rf'--weights base is for.*got.*{wrong}'):
        set_weights(config(backbone), 'base')


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        FileNotFoundError, match=r"'bse', which does not exist.*base, tnr, timm, st"
    ):
        set_weights(config(RESNET), 'bse')


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.'])
@pytest.mark.parametrize('wrapped', [False, True])
def test_a_file_really_ends_up_in_the_backbone(tmp_path, small, prefix, wrapped):
    backbone = {**SMALL, 'type': 'mmst.STBackbone', 'wraps': 'ResNet'} if wrapped else SMALL
    state_dict = {prefix + name: value for name, value in small.items()}
    if prefix == 'backbone.':
        state_dict['head.fc.weight'] = torch.zeros(2, 2)
    file = save(state_dict, tmp_path / 'weights.pth', meta={'epoch': 1})
    cfg = set_weights(config(backbone), file)
    assert same(built(cfg), small)


def test_a_torchvision_file_fits_a_resnet50(tmp_path):
    torchvision = pytest.importorskip('torchvision')
    weights = torchvision.models.resnet50(weights=None).state_dict()
    cfg = set_weights(config(RESNET), save(weights, tmp_path / 'torchvision.pth'))
    assert torch.equal(built(cfg).layer4[2].conv3.weight, weights['layer4.2.conv3.weight'])


@pytest.mark.parametrize('damage', ['missing', 'shape', 'layout'])
def test_a_file_that_fits_partly_is_refused(tmp_path, small, damage):
    state_dict = dict(small)
    if damage == 'missing':
        del state_dict['layer4.1.conv2.weight']
    elif damage == 'shape':
        state_dict['conv1.weight'] = torch.zeros(8, 3, 7, 7)
    else:
        state_dict = {f'features.{name}': value for name, value in small.items()}
    file = save(state_dict, tmp_path / 'weights.pth')
    with pytest.raises(ValueError, match=r'does not fit the backbone.*convert_checkpoint\.py'):
        set_weights(config(SMALL), file)


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    torch.save({'epoch': 1}, tmp_path / 'nothing.pth')
    with pytest.raises(ValueError, match=r'a file with a state dict'):
        set_weights(config(SMALL), str(tmp_path / 'nothing.pth'))


def test_an_unsafe_file_is_refused(tmp_path):
    torch.save({'state_dict': print}, tmp_path / 'evil.pth')
    with pytest.raises(UntrustedCheckpointError, match=r'evil\.pth.*print'):
        set_weights(config(SMALL), str(tmp_path / 'evil.pth'))


@pytest.mark.parametrize('wrapped', [False, True])
def test_none_means_live_norm_layers_and_nothing_frozen(wrapped):
    backbone = {
        **SMALL,
        'frozen_stages': 1,
        'norm_cfg': {'type': 'BN', 'requires_grad': False},
        'init_cfg': {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet18'},
    }
    if wrapped:
        backbone.update(type='mmst.STBackbone', wraps='ResNet')
    cfg = set_weights(config(backbone), 'none')
    assert cfg.model.backbone.init_cfg is None
    network = built(cfg)
    network.train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.training for norm in norms)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_none_freezes_nothing_where_that_is_not_minus_one():
    backbone = {'type': 'EfficientNet', 'arch': 'b0', 'frozen_stages': 3}
    cfg = set_weights(config(backbone, 'mmpretrain'), 'none')
    assert cfg.model.backbone.frozen_stages == 0
    assert all(parameter.requires_grad for parameter in built(cfg).parameters())
    cfg = set_weights(config({'type': 'EfficientNet', 'arch': 'b0'}, 'mmpretrain'), 'none')
    assert 'frozen_stages' not in cfg.model.backbone


def test_none_keeps_initialisers_that_read_no_file():
    kaiming = {'type': 'Kaiming', 'layer': 'Conv2d'}
    backbone = {**SMALL, 'init_cfg': [kaiming, {'type': 'Pretrained', 'checkpoint': 'x'}]}
    cfg = set_weights(config(backbone), 'none')
    assert [dict(entry) for entry in cfg.model.backbone.init_cfg] == [kaiming]


def test_none_adds_no_argument_that_the_backbone_does_not_have():
    cfg = set_weights(config({'type': 'ResNet', 'depth': 18}, 'mmpretrain'), 'none')
    assert dict(cfg.model.backbone) == {'type': 'ResNet', 'depth': 18, 'init_cfg': None}


def test_older_ways_to_name_a_checkpoint_give_way(small, tmp_path):
    file = save(small, tmp_path / 'weights.pth')
    cfg = config({**SMALL, 'pretrained': 'a.pth'}, pretrained='open-mmlab://resnet50_v1c')
    cfg.load_from = 'detector.pth'
    cfg.model.init_cfg = {'type': 'Pretrained', 'checkpoint': 'detector.pth'}
    set_weights(cfg, file)
    assert cfg.model.pretrained is None
    assert cfg.model.backbone.pretrained is None
    assert cfg.model.init_cfg is None
    assert cfg.load_from is None
    assert cfg.model.backbone.init_cfg.checkpoint == str(file)


def test_timm_is_told_in_a_bool_to_load_nothing(tmp_path):
    pytest.importorskip('timm')
    backbone = {'type': 'mmpretrain.TIMMBackbone', 'model_name': 'resnet18', 'pretrained': True}
    whole = {**backbone, 'pretrained': False}
    cfg = set_weights(config(backbone, 'mmpretrain'), 'none')
    assert cfg.model.backbone.pretrained is False
    file = save(built(config(whole, 'mmpretrain')).state_dict(), tmp_path / 'timm.pth')
    cfg = set_weights(config(backbone, 'mmpretrain'), file)
    assert same(built(cfg), torch.load(file))


def test_a_config_without_backbone_is_refused():
    with pytest.raises(ValueError, match=r'needs a config with model\.backbone'):
        set_weights(Config({'model': {'type': BaseModel}}), 'none')


def test_file_is_known_by_its_key_alone():
    """mmdet's PVT takes it without a type."""
    backbone = {'type': 'PyramidVisionTransformer', 'init_cfg': {'checkpoint': 'https://x.y/z.pth'}}
    assert set_weights(config(backbone), 'none').model.backbone.init_cfg is None


def test_what_the_backbone_resizes_while_it_loads_fits(tmp_path):
    """Position embeddings follow the size of images."""
    arch = {'embed_dims': 16, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 16}
    vit = {'type': 'VisionTransformer', 'arch': arch, 'patch_size': 16}
    source = built(config({**vit, 'img_size': 32}, 'mmpretrain')).state_dict()
    cfg = config({**vit, 'img_size': 64}, 'mmpretrain')
    set_weights(cfg, save(source, tmp_path / 'a.pth'))
    backbone = built(cfg)
    assert backbone.pos_embed.shape == (1, 1 + 16, 16)
    torch.testing.assert_close(backbone.pos_embed[:, 0], source.pop('pos_embed')[:, 0])
    assert same(backbone, source)
    del source['cls_token']
    with pytest.raises(ValueError, match='does not fit the backbone'):
        set_weights(cfg, save(source, tmp_path / 'a.pth'))
