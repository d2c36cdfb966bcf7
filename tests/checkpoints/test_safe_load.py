"""Checkpoints of mmengine load with weights_only; anything that could run code does not."""

import os
import pickle
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from torch import nn
from torch.utils.data import Dataset

from mmst.checkpoints import (
    UntrustedCheckpointError,
    load_checkpoint,
    register_safe_globals,
    safe_loading,
)

register_safe_globals()


class Numbers(Dataset):
    # An array in the meta information is what makes mmpose's checkpoints special.
    metainfo = {'sigmas': np.arange(3, dtype=np.float32), 'colors': np.zeros(2, dtype=np.uint8)}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {'inputs': torch.full((2,), float(index))}


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        output = self.linear(torch.stack(inputs))
        return {'loss': output.square().mean()} if mode == 'loss' else output


def toy_runner(work_dir, *, resume=False, max_epochs=2):
    return Runner(
        model=Toy(),
        work_dir=str(work_dir),
        train_dataloader={
            'dataset': Numbers(),
            'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            'batch_size': 4,
            'num_workers': 0,
        },
        train_cfg={'by_epoch': True, 'max_epochs': max_epochs},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.1}},
        param_scheduler=[
            {'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 8, 'by_epoch': False},
            {'type': 'CosineAnnealingMomentum', 'T_max': 2},
        ],
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': 1}},
        custom_hooks=[{'type': 'EMAHook'}],
        resume=resume,
        experiment_name=f'{work_dir.name}_{resume}',
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('trained')
    runner = toy_runner(work_dir)
    runner.train()
    return work_dir, runner


def test_a_checkpoint_with_ema_adamw_and_one_cycle_resumes(trained):
    work_dir, before = trained
    first = before.message_hub.get_scalar('train/loss').data[0].copy()
    after = toy_runner(work_dir, resume=True, max_epochs=4)
    after.train()
    history = after.message_hub.get_scalar('train/loss').data[0]
    assert len(first) == 4
    assert after.iter == len(history) == 8
    np.testing.assert_array_equal(history[:4], first)


def test_a_runner_checkpoint_is_read_with_its_history_and_arrays(trained):
    checkpoint = load_checkpoint(trained[0] / 'epoch_2.pth')
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.mean() == np.mean(history.data[0])
    np.testing.assert_array_equal(checkpoint['meta']['dataset_meta']['sigmas'], [0, 1, 2])


@pytest.mark.parametrize('core', ['core', '_core'])
def test_arrays_saved_by_numpy_1_and_2_both_load(tmp_path, monkeypatch, core):
    array = np.array([1.5, 2.5])
    reconstruct, args, state = array.__reduce__()

    def rebuild(*args):
        raise AssertionError('never called: only its name is pickled')

    rebuild.__module__, rebuild.__qualname__ = f'numpy.{core}.multiarray', '_reconstruct'
    module = type(sys)(rebuild.__module__)
    module._reconstruct = rebuild
    file = tmp_path / 'array.pth'
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, rebuild.__module__, module)
        torch.save({'array': Pickled(rebuild, args, state)}, file)
    np.testing.assert_array_equal(load_checkpoint(file)['array'], array)


class Pickled:
    """Pickles as a call of ``function`` when the file is read."""

    def __init__(self, function, args, state=None):
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.call


def touch_command(path):
    return f'{sys.executable} -c "open({str(path)!r}, \'w\')"'


def test_a_pickle_that_calls_os_system_is_refused_and_not_executed(tmp_path):
    proof = tmp_path / 'executed'
    file = tmp_path / 'evil.pth'
    torch.save({'state_dict': Pickled(os.system, (touch_command(proof),))}, file)
    with pytest.raises(UntrustedCheckpointError, match=r'evil\.pth.*posix\.system.*not\s+trusted'):
        load_checkpoint(file)
    assert not proof.exists()


def test_the_same_pickle_runs_when_loaded_unsafely(tmp_path):
    """Otherwise the test above could pass with a harmless file."""
    proof = tmp_path / 'executed'
    pickle.loads(pickle.dumps(Pickled(os.system, (touch_command(proof),))))
    assert proof.exists()


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, 'register_statistics'),
        (np.ndarray, 'tofile'),
        (torch.Tensor, '__reduce_ex__'),
    ],
)
def test_getattr_reaches_nothing_but_the_listed_methods(tmp_path, owner, name):
    file = tmp_path / 'evil.pth'
    torch.save({'state_dict': Pickled(getattr, (owner, name))}, file)
    with pytest.raises(UntrustedCheckpointError, match=rf'getattr\({owner.__name__}\.{name}\)'):
        load_checkpoint(file)


def test_getattr_cannot_climb_from_a_listed_method_to_its_globals(tmp_path):
    file = tmp_path / 'evil.pth'
    method = Pickled(getattr, (HistoryBuffer, 'min'))
    torch.save({'state_dict': Pickled(getattr, (method, '__globals__'))}, file)
    with pytest.raises(UntrustedCheckpointError, match=r'getattr\(min\.__globals__\)'):
        load_checkpoint(file)


@pytest.mark.parametrize('function', [eval, exec, __import__])
def test_other_builtins_are_refused(tmp_path, function):
    file = tmp_path / 'evil.pth'
    torch.save({'state_dict': Pickled(function, ('1',))}, file)
    with pytest.raises(UntrustedCheckpointError, match=function.__name__):
        load_checkpoint(file)


@pytest.mark.parametrize('code', ['O8', 'V8', 'U4', 'M8'])
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, code):
    """Fields set on such a dtype would make numpy follow pointers out of the file."""
    file = tmp_path / 'crafted.pth'
    torch.save({'x': Pickled(np.dtype, (code, False, True))}, file)
    with pytest.raises(UntrustedCheckpointError, match=rf'asks for .numpy.dtype\({code}\)'):
        load_checkpoint(file)


def test_a_refusal_always_has_a_reason(tmp_path):
    file = tmp_path / 'object.pth'
    torch.save({'x': np.array([object()], dtype=object)}, file)
    with pytest.raises(UntrustedCheckpointError, match=r'executed: it asks for|executed: \w'):
        load_checkpoint(file)


def test_the_old_file_format_is_guarded_too(tmp_path):
    proof, file = tmp_path / 'executed', tmp_path / 'evil.pth'
    torch.save(
        Pickled(os.system, (touch_command(proof),)), file, _use_new_zipfile_serialization=False
    )
    with pytest.raises(UntrustedCheckpointError, match=r'posix\.system'):
        load_checkpoint(file)
    assert not proof.exists()


def test_the_old_file_format_loads(tmp_path):
    file = tmp_path / 'old.pth'
    torch.save({'weight': torch.arange(3)}, file, _use_new_zipfile_serialization=False)
    assert load_checkpoint(file)['weight'].tolist() == [0, 1, 2]


def test_a_truncated_file_is_reported_as_damaged(trained, tmp_path):
    whole = (trained[0] / 'epoch_2.pth').read_bytes()
    file = tmp_path / 'half.pth'
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r'half\.pth.*damaged, incomplete'):
        load_checkpoint(file)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'must be an existing file.*nothing\.pth'):
        load_checkpoint(tmp_path / 'nothing.pth')


def test_a_refusal_deep_inside_the_runner_is_explained_too(tmp_path):
    file = tmp_path / 'evil.pth'
    torch.save({'state_dict': Pickled(os.system, ('true',))}, file)
    expected = pytest.raises(UntrustedCheckpointError, match=r"'torchvision://evil'.*posix\.system")
    with expected, safe_loading('torchvision://evil'):
        torch.load(file, weights_only=True)


@pytest.mark.parametrize('switch', [None, 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'])
def test_a_url_is_read_as_safely(tmp_path, monkeypatch, switch):
    proof, file = tmp_path / 'executed', tmp_path / 'hub' / 'checkpoints' / 'evil.pth'
    file.parent.mkdir(parents=True)
    torch.save({'state_dict': Pickled(os.system, (touch_command(proof),))}, file)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))  # torch finds it there, as if downloaded
    if switch:
        monkeypatch.setenv(switch, '1')
    before = dict(os.environ)
    url = 'https://example.org/evil.pth'
    with pytest.raises(UntrustedCheckpointError, match=r'posix\.system'), safe_loading(url):
        CheckpointLoader.load_checkpoint(url)
    assert not proof.exists()
    assert dict(os.environ) == before


def test_registering_twice_adds_nothing():
    register_safe_globals()
    once = len(torch.serialization.get_safe_globals())
    register_safe_globals()
    assert len(torch.serialization.get_safe_globals()) == once
