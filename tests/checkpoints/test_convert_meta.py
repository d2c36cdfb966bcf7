"""A conversion keeps, omits and records the right parts of a file."""

import hashlib

import pytest
import torch

from mmst.checkpoints import convert_checkpoint


def test_a_classifier_goes_through_unchanged(tmp_path, resnet18):
    torch.save(resnet18, tmp_path / 'source.pth')
    once = convert_checkpoint(tmp_path / 'source.pth')
    torch.save({'state_dict': once.state_dict, 'meta': once.meta}, tmp_path / 'once.pth')
    twice = convert_checkpoint(tmp_path / 'once.pth')
    assert twice.layout == 'openmmlab'
    assert twice.state_dict.keys() == once.state_dict.keys()
    assert not twice.left_out


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_are_kept(dtype, tmp_path, resnet18):
    halved = {k: v.to(dtype) if v.is_floating_point() else v for k, v in resnet18.items()}
    torch.save(halved, tmp_path / 'source.pth')
    state_dict = convert_checkpoint(tmp_path / 'source.pth').state_dict
    assert {value.dtype for value in state_dict.values()} == {dtype, torch.int64}
    assert torch.equal(state_dict['head.fc.weight'], halved['fc.weight'])


def test_a_file_without_counters_of_norm_layers_is_whole(tmp_path, resnet18, build):
    """As old files of torchvision are."""
    old = {k: v for k, v in resnet18.items() if not k.endswith('num_batches_tracked')}
    torch.save(old, tmp_path / 'source.pth')
    converted = convert_checkpoint(tmp_path / 'source.pth', to='backbone')
    target = build('mmdet', type='ResNet', depth=18)
    target.load_state_dict(converted.state_dict, strict=True, assign=True)
    assert torch.equal(target.conv1.weight, old['conv1.weight'])


def test_meta_tells_where_it_comes_from(tmp_path, resnet18):
    file = tmp_path / 'resnet18-f37072fd.pth'
    torch.save({'state_dict': resnet18, 'epoch': 3}, file)
    converted = convert_checkpoint(file, layout='timm', to='backbone')
    meta = converted.meta
    assert meta['source'] == 'resnet18-f37072fd.pth'
    assert meta['source_sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (meta['layout'], meta['architecture']) == ('timm', 'ResNet-18')
    assert meta['backbone'] == {'type': 'ResNet', 'depth': 18}
    assert {'date', 'mmst_version'} <= meta.keys()
    assert converted.left_out.keys() == {'fc.*', 'epoch'}


def shapes_only(torchvision, name):
    """A state dict of torchvision without memory."""
    with torch.device('meta'):
        shapes = torchvision.models.get_model(name).state_dict()
    return {key: torch.zeros(()).expand(value.shape) for key, value in shapes.items()}


@pytest.mark.parametrize(
    ('name', 'known_as', 'backbone'),
    [
        ('resnet152', 'ResNet-152', {'type': 'ResNet', 'depth': 152}),
        ('resnext101_32x8d', 'ResNeXt-101 32x8d', {'type': 'ResNeXt', 'depth': 101, 'groups': 32}),
    ],
)
def test_the_config_entry_builds_the_backbone(name, known_as, backbone, tmp_path, build):
    torch.save(shapes_only(pytest.importorskip('torchvision'), name), tmp_path / 'source.pth')
    for to, library, width in (
        ('backbone', 'mmdet', 'base_width'),
        ('mmpretrain', 'mmpretrain', 'width_per_group'),
    ):
        converted = convert_checkpoint(tmp_path / 'source.pth', to=to)
        expected = {**backbone, 'style': 'pytorch', **({width: 8} if 'groups' in backbone else {})}
        assert converted.meta['architecture'] == known_as
        assert converted.meta['backbone'] == expected
        with torch.device('meta'):
            target = build(library, **converted.meta['backbone']).state_dict()
        weights = {key.removeprefix('backbone.'): v for key, v in converted.state_dict.items()}
        assert all(weights[key].shape == value.shape for key, value in target.items())


def test_a_view_is_written_without_what_it_is_a_view_of(tmp_path, resnet18):
    row = torch.zeros(sum(value.numel() for value in resnet18.values()))
    views, start = {}, 0
    for key, value in resnet18.items():
        views[key] = value
        if value.is_floating_point():
            views[key] = row[start : start + value.numel()].view(value.shape).copy_(value)
            start += value.numel()
    torch.save({'model': views, 'row': row}, tmp_path / 'source.pth')
    converted = convert_checkpoint(tmp_path / 'source.pth', to='backbone')
    for value in converted.state_dict.values():
        assert value.untyped_storage().nbytes() == value.nbytes


@pytest.fixture
def narrow(fill, build):
    """A backbone of OpenMMLab inside a model."""
    backbone = fill(build, 'mmdet', type='ResNet', depth=50, base_channels=8, stem_channels=8)
    return {f'backbone.{key}': value for key, value in backbone.state_dict().items()}


def meta_of(state_dict, tmp_path, name='source.pth', **meta):
    torch.save({'state_dict': state_dict, 'meta': meta}, tmp_path / name)
    return convert_checkpoint(tmp_path / name).meta


@pytest.mark.parametrize('key', ['cfg', 'config'])
@pytest.mark.parametrize(
    ('told', 'backbone', 'eps'),
    [
        ('', {'style': 'pytorch'}, 1e-5),
        ("style='caffe'", {'style': 'caffe'}, 1e-5),
        ('strides=(1, 2, 2, 2), dilations=[1, 1, 1, 1]', {'style': 'pytorch'}, 1e-5),
        (
            'strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)',
            {'style': 'pytorch', 'strides': (1, 2, 1, 1), 'dilations': (1, 1, 2, 4)},
            1e-5,
        ),
        (
            'dilations=(1, 1, 2, 4), contract_dilation=True, multi_grid=[1, 2, 4]',
            {
                'style': 'pytorch',
                'dilations': (1, 1, 2, 4),
                'contract_dilation': True,
                'multi_grid': (1, 2, 4),
            },
            1e-5,
        ),
        (
            "norm_cfg=dict(type='BN', eps=1e-3, requires_grad=False)",
            {'style': 'pytorch', 'norm_cfg': {'type': 'BN', 'eps': 1e-3}},
            1e-3,
        ),
    ],
)
def test_what_the_config_tells_is_recorded_and_kept(key, told, backbone, eps, narrow, tmp_path):
    text = (
        "model = None\nmodel = dict(teacher=dict(backbone=dict(style='caffe')),\n"
        f"    backbone=dict(type='ResNet', depth=50, {told}),\n"
        "    data={'1': print('no'), (2, [3]): 4, **more})\n"
    )
    found = meta_of(narrow, tmp_path, 'caffe.pth', **{key: text})
    narrow_config = {'type': 'ResNet', 'depth': 50, 'base_channels': 8, 'stem_channels': 8}
    assert found['backbone'] == {**narrow_config, **backbone}
    assert found['norm_eps'] == eps
    again = meta_of(narrow, tmp_path, 'again.pth', **found)
    assert (again['backbone'].get('style'), again['norm_eps']) == (backbone['style'], eps)


@pytest.mark.parametrize('text', [None, 'model = [', 'model = 3', "model = dict(backbone='a')"])
def test_what_no_config_tells_is_not_recorded(text, narrow, tmp_path):
    found = meta_of(narrow, tmp_path, cfg=text)
    assert found['norm_eps'] is None
    assert not found['backbone'].keys() & {'style', 'norm_cfg', 'strides'}
    again = meta_of(narrow, tmp_path, 'again.pth', **found)
    assert again['norm_eps'] is None and 'style' not in again['backbone']


@pytest.mark.parametrize('norm', ["'BN'", 'None', "dict(type='BN', eps='a')", 'dict(eps=run())'])
def test_an_epsilon_that_is_no_number_is_not_recorded(norm, narrow, tmp_path):
    text = f'model = dict(backbone=dict(norm_cfg={norm}))'
    found = meta_of(narrow, tmp_path, cfg=text)
    assert found['norm_eps'] == (None if 'eps' in norm else 1e-5)
    assert 'norm_cfg' not in found['backbone']
