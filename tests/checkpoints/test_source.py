"""Files of every format give the same state dict."""

import argparse
import os
import sys

import pytest
import torch

from mmst.checkpoints import UntrustedCheckpointError, read_source

WEIGHTS = {'conv.weight': torch.arange(4.0).reshape(2, 2), 'conv.bias': torch.ones(2)}


def assert_same(source):
    assert source.state_dict.keys() == WEIGHTS.keys()
    assert all(torch.equal(source.state_dict[key], value) for key, value in WEIGHTS.items())


@pytest.mark.parametrize('name', ['a.pth', 'a.pth.tar', 'a.bin', 'a.pt'])
@pytest.mark.parametrize('entry', ['', 'state_dict', 'model'])
@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'module._orig_mod.'])
def test_torch_files(name, entry, prefix, tmp_path):
    weights = {prefix + key: value for key, value in WEIGHTS.items()}
    torch.save({entry: weights, 'epoch': 1} if entry else weights, tmp_path / name)
    source = read_source(tmp_path / name)
    assert_same(source)
    assert source.entry == entry
    assert source.others == (('epoch',) if entry else ())


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    safetensors.save_file(WEIGHTS, tmp_path / 'a.safetensors', metadata={'format': 'pt'})
    source = read_source(tmp_path / 'a.safetensors')
    assert_same(source)
    assert source.meta == {'format': 'pt'}


def test_missing_safetensors_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    (tmp_path / 'a.safetensors').write_bytes(b'')
    with pytest.raises(ImportError, match='needs the package safetensors: pip install safetensors'):
        read_source(tmp_path / 'a.safetensors')


def test_an_average_beside_the_weights_needs_a_choice(tmp_path):
    average = {key: value + 1 for key, value in WEIGHTS.items()}
    torch.save({'state_dict': WEIGHTS, 'state_dict_ema': average}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r"'state_dict', 'state_dict_ema'; select one.*--entry"):
        read_source(tmp_path / 'a.pth')
    chosen = read_source(tmp_path / 'a.pth', 'state_dict_ema')
    assert torch.equal(chosen.state_dict['conv.bias'], average['conv.bias'])
    assert_same(read_source(tmp_path / 'a.pth', 'state_dict'))
    with pytest.raises(ValueError, match=r"entry must name a state dict.*got 'ema'.*'state_dict'"):
        read_source(tmp_path / 'a.pth', 'ema')


def test_the_average_of_mmengine_is_its_state_dict(tmp_path):
    other = {key: value + 1 for key, value in WEIGHTS.items()}
    torch.save({'state_dict': WEIGHTS, 'ema_state_dict': other}, tmp_path / 'a.pth')
    source = read_source(tmp_path / 'a.pth')
    assert_same(source)
    assert source.others == ('ema_state_dict',)


def test_the_average_of_torchvision_has_a_counter(tmp_path):
    average = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2))
    torch.save({'model': WEIGHTS, 'model_ema': average.state_dict()}, tmp_path / 'a.pth')
    source = read_source(tmp_path / 'a.pth', 'model_ema')
    assert source.state_dict.keys() == {'weight', 'bias'}
    assert source.others == ('model', 'n_averaged')


def test_the_command_line_that_timm_saves_is_no_code(tmp_path):
    args = argparse.Namespace(model='resnet50', lr=0.1)
    torch.save({'state_dict': WEIGHTS, 'args': args, 'arch': 'resnet50'}, tmp_path / 'a.pth')
    source = read_source(tmp_path / 'a.pth')
    assert_same(source)
    assert source.meta == {'arch': 'resnet50'}
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


class Call:
    def __reduce__(self):
        return os.system, ('true',)


def test_code_beside_a_command_line_is_still_refused(tmp_path):
    args = argparse.Namespace(lr=Call())
    torch.save({'state_dict': WEIGHTS, 'args': args}, tmp_path / 'a.pth')
    with pytest.raises(UntrustedCheckpointError, match=r'posix\.system'):
        read_source(tmp_path / 'a.pth')


def test_a_flipped_bit_is_found(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'a.pth')
    content = bytearray((tmp_path / 'a.pth').read_bytes())
    at = content.index(WEIGHTS['conv.weight'].numpy().tobytes())
    content[at + 5] ^= 1
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ValueError, match='wrong checksum'):
        read_source(tmp_path / 'a.pth')


@pytest.mark.parametrize('prefix', ['module._orig_mod.', '_orig_mod.module.'])
def test_prefixes_of_two_wrappers_are_dropped(prefix, tmp_path):
    torch.save({f'{prefix}conv1.weight': torch.ones(1)}, tmp_path / 'a.pth')
    assert set(read_source(tmp_path / 'a.pth').state_dict) == {'conv1.weight'}
