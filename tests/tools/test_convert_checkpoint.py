"""tools/convert_checkpoint.py: what it writes and prints; bad files leave nothing behind."""

import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from mmst.checkpoints import write_checkpoint

ROOT = Path(__file__).parents[2]
torchvision = pytest.importorskip('torchvision')


class Call:
    """Runs a command when it is unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f'touch {self.proof}',)


@pytest.fixture(scope='module')
def resnet18():
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None, num_classes=10).state_dict()


@pytest.fixture
def source(tmp_path, resnet18):
    file = tmp_path / 'in' / 'resnet18-f37072fd.pth'
    file.parent.mkdir()
    torch.save({'model': resnet18, 'epoch': 3, 'best_acc1': 69.8}, file)
    return file


def test_the_default_is_a_classifier_and_everything_is_said(run_tool, source, tmp_path, capsys):
    target = tmp_path / 'out' / 'resnet18.pth'
    run_tool('convert_checkpoint', source, target)
    assert capsys.readouterr().out.splitlines() == [
        'layout: torchvision or timm',
        '  (the same keys with the same meaning; --layout chooses what meta says)',
        "architecture: ResNet-18, backbone=dict(type='ResNet', depth=18)",
        'left out: epoch, best_acc1 (beside the weights)',
        'to: mmpretrain',
        f'{target}: 122 tensors, every key and shape checked',
    ]
    written = torch.load(target, weights_only=True)
    assert written['meta']['source'] == source.name
    assert written['state_dict']['head.fc.weight'].shape == (10, 512)
    assert [path.name for path in target.parent.iterdir()] == ['resnet18.pth']
    assert target.stat().st_size < 1.01 * source.stat().st_size


def test_a_backbone_loads_as_an_init_cfg(run_tool, source, tmp_path, resnet18, capsys):
    target = tmp_path / 'resnet18.pth'
    run_tool('convert_checkpoint', source, target, '--to', 'backbone', '--layout', 'torchvision')
    out = capsys.readouterr().out
    assert 'layout: torchvision\narchitecture' in out
    assert 'left out: fc.* (2 tensors, the linear layer; --to mmpretrain keeps it)' in out
    pretrained = {'type': 'Pretrained', 'checkpoint': str(target)}
    backbone = MODELS.build({'type': 'mmdet.ResNet', 'depth': 18, 'init_cfg': pretrained})
    backbone.init_weights()
    own = backbone.state_dict()
    assert len(own) == len(resnet18) - 2
    assert all(torch.equal(own[key], resnet18[key]) for key in own)


@pytest.mark.parametrize('folder', ['existing', 'new/'])
def test_a_folder_gets_a_name_with_the_hash_of_the_file(run_tool, source, tmp_path, folder):
    (tmp_path / 'existing').mkdir()
    run_tool('convert_checkpoint', source, f'{tmp_path}/{folder}')
    (file,) = (tmp_path / folder).iterdir()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.name == f'resnet18-{digest[:8]}.pth'


def test_safetensors_in(run_tool, resnet18, tmp_path, capsys):
    safetensors = pytest.importorskip('safetensors.torch')
    safetensors.save_file(resnet18, tmp_path / 'model.safetensors')
    run_tool('convert_checkpoint', tmp_path / 'model.safetensors', tmp_path / 'out.pth')
    written = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(written['backbone.conv1.weight'], resnet18['conv1.weight'])


def without(state_dict, key):
    return {name: value for name, value in state_dict.items() if name != key}


def half(file, content):
    file.write_bytes(content[: len(content) // 2])


def half_of_safetensors(file, state_dict):
    safetensors = pytest.importorskip('safetensors.torch')
    half(file, safetensors.save(state_dict))


def wrong_architecture(file, state_dict):
    torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), file)


# name of the file, function that writes it (or not), what the message says
BAD_FILES = {
    'truncated': ('a.pth', lambda f, s: half(f, _saved(s)), 'ValueError: .*damaged, incomplete'),
    'truncated_old': (
        'a.pth',
        lambda f, s: half(f, _saved(s, old=True)),
        'ValueError: .*damaged, incomplete',
    ),
    'truncated_safetensors': ('a.safetensors', half_of_safetensors, 'ValueError: .*damaged, inc'),
    'a_web_page': (
        'a.pth',
        lambda f, s: f.write_text('<html>404'),
        "ValueError: .*begins with b'<html>404', as no checkpoint",
    ),
    'empty_file': ('a.pth', lambda f, s: f.touch(), 'ValueError: .*damaged, incomplete'),
    'wrong_architecture': ('a.pth', wrong_architecture, 'ValueError: .*layout must be one of'),
    'wrong_width': (
        'a.pth',
        lambda f, s: torch.save({**s, 'layer2.0.conv1.weight': torch.ones(64, 64, 3, 3)}, f),
        r'ValueError: .*layer2.0.conv1.weight is \(64, 64, 3, 3\), needed \(128, 64, 3, 3\)',
    ),
    'missing_key': (
        'a.pth',
        lambda f, s: torch.save(without(s, 'bn1.weight'), f),
        r'ValueError: .*1 keys are missing \(bn1.weight\)',
    ),
    'code': (
        'a.pth',
        lambda f, s: torch.save({'state_dict': s, 'x': Call(f.with_name('proof'))}, f),
        'UntrustedCheckpointError: .*nothing in it was executed',
    ),
    'empty_state_dict': (
        'a.pth',
        lambda f, s: torch.save({'state_dict': {}}, f),
        'ValueError: .*without tensors',
    ),
    'a_list': ('a.pth', lambda f, s: torch.save([1], f), 'ValueError: .*with a list'),
    'a_folder': ('a.pth', lambda f, s: f.mkdir(), 'ValueError: .*must be a file, got the folder'),
    'missing': ('a.pth', lambda f, s: None, 'FileNotFoundError: .*must be an existing file'),
    'missing_safetensors': (
        'a.safetensors',
        lambda f, s: None,
        'FileNotFoundError: .*must be an existing file',
    ),
}


def _saved(state_dict, old=False):
    stream = io.BytesIO()
    torch.save(state_dict, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


@pytest.mark.parametrize('kind', BAD_FILES)
def test_a_bad_file_is_one_line_and_leaves_nothing_behind(
    kind, run_tool, resnet18, tmp_path, capsys
):
    name, write, message = BAD_FILES[kind]
    (tmp_path / 'in').mkdir()
    write(tmp_path / 'in' / name, resnet18)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(SystemExit) as stopped:
        run_tool('convert_checkpoint', tmp_path / 'in' / name, tmp_path / 'out' / 'b.pth')
    assert '\n' not in stopped.value.code
    assert re.match(message, stopped.value.code), stopped.value.code
    assert capsys.readouterr() == ('', '')
    assert sorted(tmp_path.rglob('*')) == before


def test_the_exit_status_is_1_without_a_traceback(tmp_path):
    torch.save({'conv1.weight': torch.ones(1)}, tmp_path / 'other.pth')
    command = [sys.executable, 'tools/convert_checkpoint.py', tmp_path / 'other.pth', tmp_path]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ''
    assert re.fullmatch(r"ValueError: .*the convolution 'conv1.weight', got .*\n", result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ['other.pth']


def test_the_source_is_not_overwritten(run_tool, source):
    before = source.read_bytes()
    with pytest.raises(SystemExit, match='DST must not be SRC itself'):
        run_tool('convert_checkpoint', source, source)
    assert source.read_bytes() == before


def test_a_failed_write_keeps_what_was_there(tmp_path):
    class Unsaveable:
        def __reduce__(self):
            raise RuntimeError('disk full')

    (tmp_path / 'old.pth').write_text('old')
    for target in ('old.pth', 'new/deep/new.pth', 'folder/'):
        with pytest.raises(RuntimeError, match='disk full'):
            write_checkpoint({'x': Unsaveable()}, f'{tmp_path}/{target}', 'name')
    assert [path.name for path in tmp_path.rglob('*')] == ['old.pth']
    assert (tmp_path / 'old.pth').read_text() == 'old'
