"""What a conversion keeps of a file, leaves out, and writes about it."""

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


def test_the_style_that_a_config_tells_is_recorded(tmp_path, fill, build):
    backbone = fill(build, 'mmdet', type='ResNet', depth=50, base_channels=8, stem_channels=8)
    state_dict = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    text = "model = dict(backbone=dict(type='ResNet', depth=50, style='caffe'))"
    for key in ('cfg', 'config'):
        torch.save({'state_dict': state_dict, 'meta': {key: text}}, tmp_path / 'caffe.pth')
        found = convert_checkpoint(tmp_path / 'caffe.pth').meta['backbone']
        assert found['style'] == 'caffe'
    torch.save({'state_dict': state_dict, 'meta': {}}, tmp_path / 'unknown.pth')
    assert 'style' not in convert_checkpoint(tmp_path / 'unknown.pth').meta['backbone']
