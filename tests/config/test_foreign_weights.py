"""--weights with files that mmengine cannot read: they are converted in memory."""

import argparse

import pytest
import torch
from built_backbone import built, same
from mmengine.config import Config

import mmst  # noqa: F401  (registers STBackbone and mmst://)
from mmst.config import set_weights

pytest.importorskip('mmdet')

SMALL = {'type': 'ResNet', 'depth': 50, 'base_channels': 4, 'stem_channels': 4}


def config(**changes):
    return Config({'default_scope': 'mmdet', 'model': {'backbone': {**SMALL, **changes}}})


@pytest.fixture(scope='module')
def weights():
    torch.manual_seed(3)
    return built(config()).state_dict()


def reference(weights):
    """The keys of the authors' release for bottleneck blocks."""
    blocks = list(dict.fromkeys(key[:8] for key in weights if key.startswith('layer')))
    renamed = {'module.classifier.0.weight': torch.ones(3, 128)}
    renamed['module.classifier.0.bias'] = torch.ones(3)
    for key, value in weights.items():
        module, _, tensor = key.rpartition('.')
        if module in ('conv1', 'bn1'):
            module = 'features.0.' + '01'[module == 'bn1']
        else:
            part = module[9:].replace('downsample', 'shortcut')
            if part[-1] in '123' and part[:2] in ('co', 'bn'):
                part = f'body.{3 * (int(part[-1]) - 1) + part.startswith("bn")}'
            module = f'features.{blocks.index(key[:8]) + 1}.{part}'
        renamed[f'module.{module}.{tensor}'] = value
    return renamed


def safetensors(weights, file):
    package = pytest.importorskip('safetensors.torch')
    package.save_file(weights, file)


FILES = {
    'release': ('a.pth.tar', lambda w, f: torch.save({'state_dict': reference(w)}, f)),
    'torchvision training': ('a.pth', lambda w, f: torch.save({'model': w, 'epoch': 1}, f)),
    'compiled': (
        'a.pth',
        lambda w, f: torch.save({f'_orig_mod.{key}': value for key, value in w.items()}, f),
    ),
    'timm training': (
        'a.pth.tar',
        lambda w, f: torch.save({'state_dict': w, 'args': argparse.Namespace(lr=1)}, f),
    ),
    'safetensors': ('a.safetensors', safetensors),
}


@pytest.mark.parametrize('kind', FILES)
@pytest.mark.parametrize('wrapped', [False, True])
def test_a_file_is_converted_in_memory_also_when_the_config_is_rerun(
    kind, wrapped, weights, tmp_path
):
    name, write = FILES[kind]
    file = tmp_path / name
    write(weights, file)
    cfg = config(type='mmst.STBackbone', wraps='ResNet') if wrapped else config()
    set_weights(cfg, str(file))
    assert dict(cfg.model.backbone.init_cfg) == {
        'type': 'Pretrained',
        'checkpoint': f'mmst://{file}',
        'prefix': 'backbone',
    }
    cfg.dump(tmp_path / 'rerun.py')
    backbone = built(Config.fromfile(tmp_path / 'rerun.py'))
    assert same(backbone, weights)
    assert {path.name for path in tmp_path.iterdir()} == {name, 'rerun.py'}


@pytest.mark.parametrize(('in_file', 'in_config'), [('caffe', 'pytorch'), ('pytorch', 'caffe')])
def test_a_stride_at_another_place_is_refused(in_file, in_config, weights, tmp_path):
    whole = {f'backbone.{key}': value for key, value in weights.items()}
    text = f"model = dict(backbone=dict(type='ResNet', depth=50, style='{in_file}'))"
    torch.save({'state_dict': whole, 'meta': {'cfg': text}}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=rf"style '{in_file}'.*the config has style '{in_config}'"):
        set_weights(config(style=in_config), str(tmp_path / 'a.pth'))
    assert same(built(set_weights(config(style=in_file), str(tmp_path / 'a.pth'))), weights)


@pytest.mark.parametrize(
    ('in_file', 'in_config', 'message'),
    [
        ('1e-3', None, r'epsilon of 0\.001, and the config.s adds 1e-05; set .*norm_cfg.eps=0.001'),
        ('1e-5', 1e-3, r'epsilon of 1e-05, and the config.s adds 0\.001'),
        ('1e-3', 1e-3, None),
    ],
)
def test_another_epsilon_is_refused(in_file, in_config, message, weights, tmp_path):
    whole = {f'backbone.{key}': value for key, value in weights.items()}
    text = f"model = dict(backbone=dict(depth=50, norm_cfg=dict(type='BN', eps={in_file})))"
    torch.save({'state_dict': whole, 'meta': {'cfg': text}}, tmp_path / 'a.pth')
    cfg = config(norm_cfg={'type': 'BN', 'eps': in_config}) if in_config else config()
    if message is None:
        assert same(built(set_weights(cfg, str(tmp_path / 'a.pth'))), weights)
        return
    with pytest.raises(ValueError, match=message):
        set_weights(cfg, str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('part', ['running_mean', 'running_var', 'bn.weight'])
def test_weights_without_norm_statistics_are_refused(part, tmp_path):
    mobilenet = {'type': 'MobileNetV2', 'widen_factor': 0.1}
    cfg = Config({'default_scope': 'mmdet', 'model': {'backbone': mobilenet}})
    weights = {f'backbone.{k}': v for k, v in built(cfg).state_dict().items() if part not in k}
    torch.save({'state_dict': weights}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='does not fit the backbone'):
        set_weights(cfg, str(tmp_path / 'a.pth'))


def test_a_namesake_of_a_resnet_is_refused(weights, tmp_path):
    torch.save(weights, tmp_path / 'resnetaa50_a1h-4cf422b3.pth')
    with pytest.raises(ValueError, match=r"names timm's resnetaa"):
        set_weights(config(), str(tmp_path / 'resnetaa50_a1h-4cf422b3.pth'))


def test_weights_of_another_width_are_refused(weights, tmp_path):
    safetensors(weights, tmp_path / 'a.safetensors')
    match = r'does not fit the backbone: .*conv1.weight is \(4, 3, 7, 7\), needed \(8, .*ResNet-50'
    with pytest.raises(ValueError, match=match):
        set_weights(config(stem_channels=8), str(tmp_path / 'a.safetensors'))


@pytest.mark.parametrize('name', ['a.pth', 'a.safetensors'])
def test_a_deeper_network_is_refused_although_it_has_all_tensors(name, weights, tmp_path):
    deeper = built(config(depth=101)).state_dict()
    assert deeper.keys() > weights.keys()
    save = safetensors if name.endswith('safetensors') else torch.save
    save(deeper, tmp_path / name)
    with pytest.raises(ValueError, match='it holds a ResNet-101, and the config has depth 50'):
        set_weights(config(), str(tmp_path / name))


def test_another_backbone_of_openmmlab_needs_no_conversion(tmp_path):
    mobilenet = {'type': 'MobileNetV2', 'widen_factor': 0.1}
    cfg = Config({'default_scope': 'mmdet', 'model': {'backbone': mobilenet}})
    weights = built(cfg).state_dict()
    whole = {f'backbone.{key}': value for key, value in weights.items()}
    torch.save({'state_dict': whole}, tmp_path / 'a.pth')
    set_weights(cfg, str(tmp_path / 'a.pth'))
    assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / 'a.pth')
    assert same(built(cfg), weights)


@pytest.mark.parametrize('entry', ['folder', 'web page'])
def test_what_is_no_checkpoint_is_refused(entry, tmp_path):
    file = tmp_path / 'a.pth'
    file.mkdir() if entry == 'folder' else file.write_text('<html>')
    with pytest.raises(ValueError, match='got the folder|begins with'):
        set_weights(config(), str(file))


def with_attention(weights):
    """A ResNet with squeeze-and-excitation has all tensors of one without."""
    return {**weights, 'layer1.0.se.fc1.weight': torch.ones(2, 2, 1, 1)}


def deeper_than_any(weights):
    block = {k: v for k, v in weights.items() if k.startswith('layer3.5.')}
    return {**weights, **{k.replace('layer3.5', 'layer3.6'): v for k, v in block.items()}}


@pytest.mark.parametrize('name', ['a.pth', 'a.safetensors'])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (with_attention, 'unexpected keys .layer1.0.se.fc1.weight.*squeeze-and-excitation'),
        (deeper_than_any, r'bottleneck blocks \(3, 4, 7, 3\)'),
    ],
)
def test_a_network_with_more_than_the_backbone_is_refused(name, change, message, weights, tmp_path):
    save = safetensors if name.endswith('safetensors') else torch.save
    save({key: value.clone() for key, value in change(weights).items()}, tmp_path / name)
    with pytest.raises(ValueError, match=message):
        set_weights(config(), str(tmp_path / name))


def test_another_family_with_more_than_the_backbone_is_refused(tmp_path):
    mobilenet = {'type': 'MobileNetV2', 'widen_factor': 0.1}
    cfg = Config({'default_scope': 'mmdet', 'model': {'backbone': mobilenet}})
    weights = {**built(cfg).state_dict(), 'layer9.0.weight': torch.ones(1)}
    torch.save({f'backbone.{key}': value for key, value in weights.items()}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='it has 1 tensors that the backbone has not: layer9.0'):
        set_weights(cfg, str(tmp_path / 'a.pth'))


def test_an_exported_subnet_starts_from_the_whole_network(weights, tmp_path):
    """The blocks that it has not are no reason to refuse the file."""
    torch.save({f'backbone.{key}': value for key, value in weights.items()}, tmp_path / 'a.pth')
    cfg = config(type='mmst.STBackbone', wraps='ResNet', depths=(2, 3, 4, 2))
    backbone = built(set_weights(cfg, str(tmp_path / 'a.pth')))
    own = backbone.state_dict()
    assert own.keys() < weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in own.items())


@pytest.mark.parametrize('name', ['resnet50_caffe-1.pth', 'resnet50_msra-5891d200.pth'])
def test_a_file_called_caffe_is_of_that_style(name, weights, tmp_path):
    torch.save(weights, tmp_path / name)
    with pytest.raises(ValueError, match=r"of style 'caffe'.*the config has style 'pytorch'"):
        set_weights(config(), str(tmp_path / name))
    assert same(built(set_weights(config(style='caffe'), str(tmp_path / name))), weights)


def test_a_url_is_to_be_downloaded_first():
    with pytest.raises(ValueError, match="must name a local file, got 'https://a/b.pth'; download"):
        set_weights(config(), 'https://a/b.pth')
