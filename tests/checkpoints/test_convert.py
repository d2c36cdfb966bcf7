"""A converted network computes what the network in the file computes."""

import pytest
import torch
from torch.testing import assert_close

from mmst.checkpoints import convert_checkpoint

CHANNELS = {18: 512, 34: 512, 50: 2048, 101: 2048, 152: 2048}
DEPTHS = [18, 34, 50, 101, pytest.param(152, marks=pytest.mark.slow)]


def assert_same_outputs(actual, expected):
    assert expected.abs().max() > 1e-3
    assert_close(actual, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('depth', DEPTHS)
@pytest.mark.parametrize('library', ['torchvision', 'timm'])
@torch.no_grad()
def test_a_resnet_gives_the_same_logits_in_mmpretrain(
    library, depth, tmp_path, fill, classifier, images, outputs_with
):
    module = pytest.importorskip(library)
    create = module.models.get_model if library == 'torchvision' else module.create_model
    source = fill(create, f'resnet{depth}', num_classes=10)
    torch.save(source.state_dict(), tmp_path / 'source.pth')
    converted = convert_checkpoint(tmp_path / 'source.pth')
    assert (converted.layout, converted.to) == ('torchvision or timm', 'mmpretrain')
    assert converted.architecture.depth == depth
    target = classifier(CHANNELS[depth], type='ResNet', depth=depth)
    logits = outputs_with(target, converted.state_dict, mode='tensor')
    assert_same_outputs(logits, source.double()(images))


@torch.no_grad()
def test_a_resnext_gives_the_same_logits_in_mmpretrain(
    tmp_path, fill, classifier, images, outputs_with
):
    torchvision = pytest.importorskip('torchvision')
    source = fill(torchvision.models.resnext50_32x4d, num_classes=10)
    torch.save(source.state_dict(), tmp_path / 'source.pth')
    converted = convert_checkpoint(tmp_path / 'source.pth')
    assert converted.architecture.name == 'ResNeXt-50 32x4d'
    target = classifier(2048, type='ResNeXt', depth=50, groups=32, width_per_group=4)
    logits = outputs_with(target, converted.state_dict, mode='tensor')
    assert_same_outputs(logits, source.double()(images))


@pytest.fixture(scope='module')
def resnet50(tmp_path_factory, fill, images):
    """File of a ResNet-50 of torchvision, and its pooled features."""
    torchvision = pytest.importorskip('torchvision')
    file = tmp_path_factory.mktemp('source') / 'source.pth'
    source = fill(torchvision.models.resnet50)
    torch.save({'model': source.state_dict()}, file)
    source.fc = torch.nn.Identity()
    with torch.no_grad():
        return file, source.double()(images)


@pytest.mark.parametrize('library', ['mmdet', 'mmseg', 'mmpose', 'mmpretrain'])
def test_a_torchvision_backbone_gives_the_same_features_everywhere(
    library, resnet50, build, outputs_with
):
    file, expected = resnet50
    converted = convert_checkpoint(file, to='backbone')
    # mmseg's strides less by default.
    strides = {'strides': (1, 2, 2, 2), 'dilations': (1, 1, 1, 1)}
    target = build(library, type='ResNet', depth=50, out_indices=(3,), **strides)
    assert_same_outputs(outputs_with(target, converted.state_dict)[0].mean((2, 3)), expected)


@pytest.mark.parametrize(
    ('library', 'kind', 'name'),
    [
        ('mmdet', 'ResNet', 'ResNet-50'),
        ('mmdet', 'ResNeXt', 'ResNeXt-50 32x4d'),
        ('mmseg', 'ResNetV1c', 'ResNetV1c-50'),
        ('mmpose', 'ResNetV1d', 'ResNetV1d-50'),
        ('mmpretrain', 'ResNetV1d', 'ResNetV1d-50'),
    ],
)
@torch.no_grad()
def test_the_backbone_of_a_whole_model_is_taken_out(
    library, kind, name, tmp_path, fill, build, images, outputs_with
):
    config = {'type': kind, 'depth': 50, 'base_channels': 16, 'stem_channels': 16}
    config.update({'groups': 32} if kind == 'ResNeXt' else {})
    source = fill(build, library, **config)
    state_dict = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    extra = {'neck.conv.weight': torch.ones(1), 'decode_head.conv.bias': torch.ones(2)}
    torch.save({'state_dict': {**state_dict, **extra}, 'optimizer': {}}, tmp_path / 'source.pth')
    converted = convert_checkpoint(tmp_path / 'source.pth')
    assert (converted.layout, converted.to) == ('openmmlab', 'backbone')
    assert converted.architecture.name == name
    assert list(converted.left_out) == ['neck.*', 'decode_head.*', 'optimizer']
    features = outputs_with(build(library, **config), converted.state_dict)
    for actual, expected in zip(features, source.double()(images), strict=True):
        assert_same_outputs(actual, expected)


def test_a_real_detector_gives_its_backbone(tmp_path, make_detector, build):
    detector = make_detector()
    torch.save({'state_dict': detector.state_dict(), 'meta': {}}, tmp_path / 'detector.pth')
    converted = convert_checkpoint(tmp_path / 'detector.pth')
    assert converted.left_out.keys() == {'neck.*', 'rpn_head.*', 'roi_head.*'}
    own = detector.backbone.state_dict()
    assert own.keys() == converted.state_dict.keys()
    assert all(torch.equal(own[key], value) for key, value in converted.state_dict.items())
