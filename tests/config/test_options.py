"""OpenMMLab's usual options, as edits of a config."""

import pytest
from mmengine.config import Config

from mmst.config import (
    disable_validation,
    enable_amp,
    enable_auto_scale_lr,
    set_seed,
    set_work_dir,
)
from mmst.config.file import load_config
from mmst.engine import accelerator as accelerators


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(accelerators, 'is_cuda_available', lambda: True)


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(accelerators, 'is_cuda_available', lambda: False)


def test_a_missing_config_is_named():
    with pytest.raises(FileNotFoundError, match=r"config must be an existing file, got 'no\.py'"):
        load_config('no.py')


@pytest.mark.parametrize(
    ('option', 'in_config', 'expected'),
    [('a', 'b', 'a'), (None, 'b', 'b'), (None, None, 'work_dirs/my_config')],
)
def test_the_work_dir_is_the_first_one_given(option, in_config, expected):
    cfg = set_work_dir(Config({'work_dir': in_config}), option, 'configs/my_config.py')
    assert cfg.work_dir == expected


def test_a_seed_keeps_other_settings_of_randomness():
    cfg = set_seed(Config({'randomness': {'seed': 1, 'deterministic': True}}), 5)
    assert dict(cfg.randomness) == {'seed': 5, 'deterministic': True}


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r'--seed must be at least 0, got -1'):
        set_seed(Config(), -1)


def test_without_validation_nothing_waits_for_its_result():
    cfg = Config(
        {
            'val_cfg': {},
            'val_dataloader': {},
            'val_evaluator': {},
            'default_hooks': {'checkpoint': {'type': 'CheckpointHook', 'save_best': 'auto'}},
        }
    )
    disable_validation(cfg)
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert 'save_best' not in cfg.default_hooks.checkpoint


@pytest.mark.parametrize('wrapper', [{}, {'type': 'OptimWrapper'}, {'type': 'AmpOptimWrapper'}])
def test_amp_changes_the_plain_wrapper(accelerator, wrapper):
    cfg = enable_amp(Config({'optim_wrapper': {**wrapper, 'optimizer': {}}}))
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def test_amp_keeps_a_loss_scale_of_the_config(accelerator):
    cfg = enable_amp(Config({'optim_wrapper': {'type': 'OptimWrapper', 'loss_scale': 512.0}}))
    assert cfg.optim_wrapper.loss_scale == 512.0


def test_amp_refuses_other_wrappers(accelerator):
    with pytest.raises(ValueError, match=r'of type OptimWrapper, got ApexOptimWrapper'):
        enable_amp(Config({'optim_wrapper': {'type': 'ApexOptimWrapper'}}))


def test_amp_without_accelerator_is_refused(no_accelerator):
    with pytest.raises(RuntimeError, match=r'--amp needs an accelerator.*leave --amp out'):
        enable_amp(Config({'optim_wrapper': {}}))


def test_the_learning_rate_follows_the_batch_size():
    cfg = Config({'auto_scale_lr': {'base_batch_size': 16}})
    assert enable_auto_scale_lr(cfg).auto_scale_lr.enable is True


@pytest.mark.parametrize('settings', [{}, {'auto_scale_lr': {'enable': False}}])
def test_auto_scale_lr_needs_a_base_batch_size(settings):
    with pytest.raises(ValueError, match=r'--auto-scale-lr needs auto_scale_lr\.base_batch_size'):
        enable_auto_scale_lr(Config(settings))
