"""A config is prepared for measuring: its model and data stay, what surrounds them goes."""

import pytest
import torch
from mmengine.config import Config

from mmst.benchmark import StepSettings, prepare_step_benchmark
from mmst.benchmark.step_config import take_hook

HOOK = {
    'type': 'mmst.StimulativeHook',
    'supervision': {'type': 'mmst.GroundTruthSupervision'},
    'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5},
    'num_subnets': 2,
    'begin': 3,
    'by_epoch': True,
    'weight_schedule': 'rising',
}


def make_config(**changes):
    pretrained = {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet50'}
    normal = {'type': 'Normal', 'layer': 'Conv2d'}
    return Config(
        {
            'model': {
                'type': 'Detector',
                'pretrained': 'open-mmlab://resnet50',
                'init_cfg': pretrained,
                'backbone': {'depth': 50, 'init_cfg': [normal, pretrained]},
                'head': {'init_cfg': normal},
            },
            'train_dataloader': {'batch_size': 2, 'num_workers': 2, 'persistent_workers': True},
            'val_dataloader': {'batch_size': 1},
            'val_cfg': {'type': 'ValLoop'},
            'val_evaluator': {'type': 'CocoMetric'},
            'train_cfg': {'max_epochs': 12},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}, 'accumulative_counts': 4},
            'param_scheduler': [{'type': 'LinearLR'}],
            'default_hooks': {'logger': {'type': 'LoggerHook'}, 'stimulative': HOOK},
            'custom_hooks': [{'type': 'EMAHook'}],
            'randomness': {'deterministic': False},
            'load_from': 'checkpoint.pth',
            **changes,
        }
    )


def test_only_the_iteration_is_left():
    settings = StepSettings(num_subnets=(0, 3), iters=4, batch_size=5, channels_last=True, seed=9)
    cfg = prepare_step_benchmark(make_config(), settings, {'interval': 2})
    assert cfg.train_cfg.to_dict() == {
        'type': 'StepBenchmarkLoop',
        'hook': {
            **HOOK,
            'interval': 2,
            'begin': 0,
            'by_epoch': False,
            'weight_schedule': 'constant',
        },
        'num_subnets': [0, 3],
        'iters': 4,
        'warmup': 3,
        'channels_last': True,
        'device': None,
    }
    assert cfg.train_dataloader == {
        'batch_size': 5,
        'num_workers': 2,
        'persistent_workers': False,
    }
    assert cfg.optim_wrapper == {'optimizer': {'type': 'SGD', 'lr': 0.1}}
    assert cfg.randomness == {'deterministic': False, 'seed': 9}
    assert set(cfg.default_hooks.values()) == {None}
    assert cfg.custom_hooks == []
    for name in ('val_cfg', 'val_dataloader', 'val_evaluator', 'param_scheduler', 'load_from'):
        assert cfg[name] is None


def test_initial_weights_are_random():
    model = prepare_step_benchmark(make_config(), StepSettings()).model
    normal = {'type': 'Normal', 'layer': 'Conv2d'}
    assert model.pretrained is None
    assert model.init_cfg is None
    assert model.backbone.init_cfg == [normal]
    assert model.head.init_cfg == normal


def make_data(*last, **changes):
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'Resize', 'scale': (1333, 800)}, *last]
    dataset = {'type': 'CocoDataset', 'pipeline': pipeline, **changes}
    return {'train_dataloader': {'dataset': {'type': 'RepeatDataset', 'dataset': dataset}}}


def test_images_get_the_size_before_they_are_packed():
    cfg = make_config(**make_data({'type': 'mmdet.PackDetInputs'}))
    cfg.model.data_preprocessor = {'size': (512, 1024)}
    prepare_step_benchmark(cfg, StepSettings(size_hw=(64, 96)))
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    assert [transform['type'] for transform in pipeline] == [
        'LoadImageFromFile', 'Resize', 'Resize', 'mmdet.PackDetInputs',
    ]  # fmt: skip
    assert pipeline[1].scale == (1333, 800)
    assert pipeline[2] == {'type': 'Resize', 'scale': (96, 64), 'keep_ratio': False}
    assert cfg.model.data_preprocessor.size == (64, 96)


@pytest.mark.parametrize(
    ('data', 'scope'), [(make_data(), 'mmdet'), (make_data({'type': 'PackPoseInputs'}), 'mmpose')]
)
def test_a_size_that_cannot_be_set_is_refused(data, scope):
    cfg = make_config(**data, default_scope=scope)
    with pytest.raises(ValueError, match=r"--size needs a training pipeline.*codec's input_size"):
        prepare_step_benchmark(cfg, StepSettings(size_hw=(64, 96)))


def test_options_reach_into_the_hook():
    cfg = make_config(default_hooks={}, custom_hooks=[HOOK, {'type': 'EMAHook'}])
    hook = take_hook(cfg, {'inputs.min_ratio': 0.7, 'norm': 'shared'})
    assert hook.inputs == {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.7}
    assert (hook.norm, hook.begin) == ('shared', 0)
    assert cfg.custom_hooks == [{'type': 'EMAHook'}]
    assert HOOK['inputs']['min_ratio'] == 0.5


@pytest.mark.parametrize(
    ('changes', 'options', 'message'),
    [
        ({'default_hooks': {}}, {}, r'one mmst\.StimulativeHook, got 0; .*faster_rcnn_r50_st'),
        ({'custom_hooks': [HOOK]}, {}, r'one mmst\.StimulativeHook, got 2'),
        ({}, {'num_subnets': 2}, r'--hook-options must leave num_subnets alone'),
        ({}, {'begin': 2, 'by_epoch': True}, r'must leave begin, by_epoch alone'),
        ({}, {'weight': 0}, r'weight of the StimulativeHook must be above 0.*got 0'),
        ({}, {'interval': 3}, r"--iters must be a multiple of the hook's interval, 3.*got 20"),
        ({}, {'norm': 'none'}, r'norm must be one of'),
        ({'train_dataloader': None}, {}, r'got none of train_dataloader'),
    ],
)
def test_what_cannot_be_measured_is_refused(changes, options, message):
    with pytest.raises(ValueError, match=message):
        prepare_step_benchmark(make_config(**changes), StepSettings(), options)


def test_an_unknown_setting_of_the_hook_is_refused():
    with pytest.raises(TypeError, match='unexpected keyword argument .colour'):
        prepare_step_benchmark(make_config(), StepSettings(), {'colour': 'red'})


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'num_subnets': ()}, r'--num-subnets must be integers of at least 0, got \[\]'),
        ({'num_subnets': (1, -1)}, r'--num-subnets must be integers of at least 0, got \[1, -1\]'),
        ({'num_subnets': (1, 1)}, r'--num-subnets must not repeat, got \[1, 1\]'),
        ({'iters': 0}, r'--iters must be at least 1, got 0'),
        ({'warmup': 0}, r'--warmup must be at least 1, got 0'),
        ({'batch_size': 0}, r'--batch-size must be at least 1, got 0'),
        ({'size_hw': (0, 64)}, r'--size must be at least 1 pixel a side, got \(0, 64\)'),
        ({'device': 'tpu'}, r"--device must be 'cpu' or 'cuda', got 'tpu'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        StepSettings(**settings)


def test_cuda_needs_a_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='--device cuda needs a CUDA device, found none'):
        StepSettings(device='cuda')
