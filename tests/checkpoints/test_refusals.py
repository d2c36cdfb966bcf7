"""A file that only resembles a ResNet of OpenMMLab is refused with the reason."""

import json

import pytest
import torch

from mmst.checkpoints import convert_checkpoint


def refused(state_dict, tmp_path, match, name='model.pth', **arguments):
    torch.save(state_dict, tmp_path / name)
    with pytest.raises(ValueError, match=match):
        convert_checkpoint(tmp_path / name, **arguments)


@pytest.mark.parametrize(
    ('name', 'match'),
    [
        ('resnet50d', r'stem is three 3x3 convolutions.*7x7'),
        ('resnet50s', r'stem is three 3x3 convolutions'),
        ('seresnet50', r'unexpected keys \(layer1\.0\.se\.fc1\.weight.*squeeze-and-excitation'),
        ('ecaresnetlight', r'must be a ResNet-18, -34.*bottleneck blocks \(1, 1, 11, 3\)'),
        ('resnet50_gn', r'keys are missing \(bn1\.running_mean.*GroupNorm'),
        ('resnet26', r'must be a ResNet-18, -34.*bottleneck blocks \(2, 2, 2, 2\)'),
        ('resnet200', r'must be a ResNet-18, -34.*bottleneck blocks \(3, 24, 36, 3\)'),
        ('wide_resnet50_2', r'Wide-ResNet, which OpenMMLab does not have'),
        ('vit_tiny_patch16_224', r"starts with the keys 'cls_token'"),
        ('mobilenetv2_050', r"starts with the keys 'conv_stem.weight'|with the convolution 'conv1"),
    ],
)
def test_another_network_of_timm(name, match, tmp_path):
    timm = pytest.importorskip('timm')
    with torch.device('meta'):
        shapes = timm.create_model(name).state_dict()
    state_dict = {key: torch.zeros(()).expand(value.shape) for key, value in shapes.items()}
    refused(state_dict, tmp_path, match)


@pytest.mark.parametrize('name', ['resnetaa50', 'resnetblur50'])
def test_a_namesake_is_known_by_what_names_it_alone(name, tmp_path, resnet18):
    refused(resnet18, tmp_path, rf"names timm's {name[:-2]}.*rename", name=f'{name}-1a2b.pth')
    refused({'arch': name, 'state_dict': resnet18}, tmp_path, rf"names timm's {name[:-2]}")
    safetensors = pytest.importorskip('safetensors.torch')
    file = tmp_path / 'model.safetensors'
    safetensors.save_file(resnet18, file)
    convert_checkpoint(file)
    (tmp_path / 'config.json').write_text(json.dumps({'architecture': name}))
    with pytest.raises(ValueError, match=rf"names timm's {name[:-2]}"):
        convert_checkpoint(file)


def test_a_detector_of_torchvision(tmp_path, resnet18):
    """Its norm layers may have another epsilon, which no key tells."""
    inside = {f'backbone.body.{key}': value for key, value in resnet18.items()}
    refused(inside, tmp_path, r"starts with the keys 'backbone\.body\.conv1\.weight'")


def test_a_segmenter_of_torchvision(tmp_path, resnet18):
    inside = {f'backbone.{key}': v for key, v in resnet18.items() if not key.startswith('fc.')}
    head = {'classifier.0.weight': torch.ones(1)}
    refused({**inside, **head}, tmp_path, r"starts with the keys 'backbone\.conv1\.weight'")


@pytest.mark.parametrize(
    ('key', 'change', 'match'),
    [
        ('layer1.0.conv1.weight', lambda v: v / 0, r'must be finite, .*backbone.layer1.0.conv1'),
        ('bn1.running_var', lambda v: v * float('nan'), r'must be finite, .*backbone.bn1.running'),
        ('fc.weight', lambda v: v.to(torch.int8), r'floating-point numbers, .*head.fc.weight'),
    ],
)
def test_weights_that_are_no_numbers(key, change, match, tmp_path, resnet18):
    refused({**resnet18, key: change(resnet18[key])}, tmp_path, match)


def test_two_networks_in_one_file_need_a_choice(tmp_path, resnet18):
    bare = {key: value for key, value in resnet18.items() if not key.startswith('fc.')}
    both = {**bare, **{f'backbone.{key}': value + 1 for key, value in bare.items()}}
    refused(both, tmp_path, r'openmmlab, and of torchvision or timm.*choose.*--layout')
    converted = convert_checkpoint(tmp_path / 'model.pth', layout='openmmlab')
    assert torch.equal(converted.state_dict['conv1.weight'], bare['conv1.weight'] + 1)
    assert 'conv1.*' in converted.left_out


def test_another_layout_than_the_given_one(tmp_path, resnet18):
    match = r"layout 'reference' is not that of the file, which has the keys of torchvision or timm"
    refused(resnet18, tmp_path, match, layout='reference')
    refused(resnet18, tmp_path, "layout must be auto, reference.*got 'keras'", layout='keras')


def test_mmpretrain_without_a_linear_layer(tmp_path, resnet18):
    bare = {key: value for key, value in resnet18.items() if not key.startswith('fc.')}
    refused(bare, tmp_path, r'needs a linear layer.*use --to backbone', to='mmpretrain')
    refused(bare, tmp_path, "to must be auto, backbone, mmpretrain, got 'both'", to='both')


@pytest.mark.parametrize(
    ('key', 'value', 'match'),
    [
        ('layer4.1.bn2.bias', None, r'1 keys are missing \(layer4\.1\.bn2\.bias\)'),
        ('layer2.0.downsample.0.weight', None, r'keys are missing \(layer2\.0\.downsample\.0'),
        ('layer3.1.conv1.weight', (256, 128, 3, 3), r'layer3\.1\.conv1\.weight is \(256, 128'),
        (
            'conv1.weight',
            (64, 3, 3, 3),
            r'conv1\.weight is \(64, 3, 3, 3\), needed \(64, 3, 7, 7\)',
        ),
        ('conv1.weight', (64,), r"the convolution 'conv1\.weight', got it in the shape \(64,\)"),
        ('layer1.0.conv2.weight', (0, 0, 3, 3), r'got it in the shape \(0, 0, 3, 3\)'),
        ('layer1.0.conv2_offset.weight', (18,), r'unexpected keys.*deformable'),
        ('layer2.0.downsample.1.num_batches', (1,), r'unexpected keys \(layer2\.0\.downsample'),
        ('fc.weight', (10, 2048), r'weight of \(classes, 512\).*ResNet-18, got .*2048'),
        ('fc.bias', None, r'bias of \(classes,\)'),
    ],
)
def test_every_key_and_shape_counts(key, value, match, tmp_path, resnet18):
    changed = {**resnet18, key: value if value is None else torch.zeros(value)}
    refused({k: v for k, v in changed.items() if v is not None}, tmp_path, match)
