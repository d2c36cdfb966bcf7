"""Launchers, with and without accelerators."""

import pytest
import torch.distributed
from mmengine.config import Config
from mmengine.registry import RUNNERS

from mmst.cli import launch
from mmst.cli.launch import build_runner, set_launcher


@pytest.fixture
def started(monkeypatch):
    """A process of torchrun on a machine without accelerator; records how the group is started."""
    calls = []
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(launch, 'has_accelerator', lambda: False)
    monkeypatch.setattr(
        torch.distributed,
        'init_process_group',
        lambda *args, **kwargs: calls.append((args, kwargs)),
    )
    return calls


def test_on_cpus_gloo_is_started_and_the_wrapper_gets_no_device(started):
    cfg = set_launcher(Config({'find_unused_parameters': True}), 'pytorch')
    assert [args for args, _ in started] == [('gloo',)]
    assert cfg.launcher == 'pytorch'
    assert dict(cfg.model_wrapper_cfg) == {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': True,
        'device_ids': None,
    }


def test_on_cpus_a_wrapper_of_the_config_keeps_its_other_settings(started):
    wrapper = {'type': 'MyWrapper', 'static_graph': True}
    cfg = set_launcher(Config({'model_wrapper_cfg': wrapper}), 'pytorch')
    assert dict(cfg.model_wrapper_cfg) == {**wrapper, 'device_ids': None}


def test_the_timeout_of_the_config_is_used(started):
    set_launcher(Config({'env_cfg': {'dist_cfg': {'timeout': 60}}}), 'pytorch')
    assert started[0][1]['timeout'].total_seconds() == 60


def test_with_an_accelerator_mmengine_starts_the_group(started, monkeypatch):
    monkeypatch.setattr(launch, 'has_accelerator', lambda: True)
    cfg = set_launcher(Config(), 'pytorch')
    assert started == []
    assert 'model_wrapper_cfg' not in cfg


def test_without_launcher_nothing_is_started(started, monkeypatch):
    cfg = set_launcher(Config(), 'none')
    assert started == []
    assert cfg.launcher == 'none'


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_other_launchers_need_an_accelerator(started, launcher):
    with pytest.raises(RuntimeError, match=rf'--launcher {launcher} needs an accelerator'):
        set_launcher(Config(), launcher)


def test_a_process_that_torchrun_did_not_start_is_refused(started, monkeypatch):
    monkeypatch.delenv('RANK')
    with pytest.raises(RuntimeError, match=r'RANK is not set.*dist_train\.sh'):
        set_launcher(Config(), 'pytorch')


def test_a_runner_of_the_configs_own_type_is_built():
    class OwnRunner:
        @classmethod
        def from_cfg(cls, cfg):
            return cls()

    RUNNERS.register_module(name='OwnRunner', module=OwnRunner)
    try:
        assert isinstance(build_runner(Config({'runner_type': 'OwnRunner'})), OwnRunner)
    finally:
        del RUNNERS.module_dict['OwnRunner']
