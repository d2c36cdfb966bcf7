"""--max-iters: any schedule as an iteration-based one."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from mmst.config import set_max_iters

EPOCHS = {'type': 'EpochBasedTrainLoop', 'max_epochs': 12, 'val_interval': 1}
WARM_UP = {'type': 'LinearLR', 'start_factor': 0.001, 'by_epoch': False, 'begin': 0, 'end': 500}
STEPS = {'type': 'MultiStepLR', 'begin': 0, 'end': 12, 'by_epoch': True, 'milestones': [8, 11]}

UPSTREAM = [
    ('mmdet', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
    ('mmdet', 'yolox/yolox_s_8xb8-300e_coco.py'),
    ('mmdet', 'rtmdet/rtmdet_s_8xb32-300e_coco.py'),
    ('mmseg', 'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'),
    ('mmpose', 'body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'),
    ('mmpretrain', 'resnet/resnet50_8xb32_in1k.py'),
    ('mmpretrain', 'swin_transformer/swin-tiny_16xb64_in1k.py'),
]


def short(max_iters, *schedulers, train_cfg=EPOCHS, **options):
    cfg = Config(dict(train_cfg=train_cfg, param_scheduler=list(schedulers), **options))
    return set_max_iters(cfg, max_iters)


def scheduler(max_iters, entry, train_cfg=EPOCHS):
    return dict(short(max_iters, entry, train_cfg=train_cfg).param_scheduler[0])


def test_the_loop_runs_n_iterations_and_validates_at_the_end():
    cfg = short(100, STEPS)
    assert dict(cfg.train_cfg) == {
        'type': 'IterBasedTrainLoop',
        'max_iters': 100,
        'val_interval': 100,
    }


def test_epochs_are_scaled_to_iterations():
    assert scheduler(120, STEPS) == {
        **STEPS,
        'by_epoch': False,
        'end': 120,
        'milestones': [80, 110],
    }


def test_a_scheduler_counts_epochs_unless_it_says_otherwise():
    entry = {'type': 'CosineAnnealingLR', 'T_max': 12}
    assert scheduler(120, entry) == {**entry, 'by_epoch': False, 'T_max': 120}


def test_epochs_converted_to_iterations_are_scaled_as_epochs():
    entry = {'type': 'LinearLR', 'by_epoch': True, 'end': 3, 'convert_to_iter_based': True}
    assert scheduler(120, entry) == {'type': 'LinearLR', 'by_epoch': False, 'end': 30}


def test_iterations_of_an_iteration_based_schedule_are_scaled():
    train_cfg = {'type': 'IterBasedTrainLoop', 'max_iters': 1000}
    entry = {'type': 'PolyLR', 'by_epoch': False, 'begin': 100, 'end': 1000, 'power': 0.9}
    assert scheduler(50, entry, train_cfg) == {**entry, 'begin': 5, 'end': 50}


@pytest.mark.parametrize(('max_iters', 'warm_up'), [(200, 20), (4000, 400), (90000, 500)])
def test_a_warm_up_in_iterations_takes_at_most_a_tenth(max_iters, warm_up):
    assert scheduler(max_iters, WARM_UP)['end'] == warm_up


def test_a_warm_up_without_an_iteration_left_is_dropped():
    cfg = short(9, WARM_UP, STEPS)
    assert [entry.type for entry in cfg.param_scheduler] == ['MultiStepLR']


def test_what_follows_a_warm_up_in_iterations_begins_where_it_ends():
    poly = {'type': 'PolyLR', 'by_epoch': False, 'begin': 500}
    warm_up, poly = short(200, WARM_UP, poly).param_scheduler
    assert warm_up.end == poly.begin == 20


def test_a_one_cycle_policy_in_iterations_fills_the_run():
    entry = {'type': 'OneCycleLR', 'eta_max': 1.0, 'total_steps': 9000, 'by_epoch': False}
    assert scheduler(30, entry)['total_steps'] == 30


def test_an_exponential_decay_reaches_the_same_end():
    entry = {'type': 'ExponentialLR', 'gamma': 0.5}
    assert scheduler(24, entry)['gamma'] ** 24 == pytest.approx(0.5**12)


def test_schedulers_of_several_optimisers_are_all_scaled():
    cfg = Config({'train_cfg': EPOCHS, 'param_scheduler': {'generator': [STEPS], 'critic': STEPS}})
    set_max_iters(cfg, 120)
    ends = [own[0].end for own in cfg.param_scheduler.values()]
    assert ends == [120, 120]


def test_checkpoints_and_logs_count_iterations():
    cfg = short(
        200,
        default_hooks={
            'checkpoint': {'type': 'CheckpointHook', 'interval': 1, 'save_best': 'auto'},
            'logger': {'type': 'LoggerHook', 'interval': 50},
        },
        log_processor={
            'type': 'LogProcessor',
            'window_size': 50,
            'by_epoch': True,
            'custom_cfg': [{'data_src': 'loss', 'window_size': 'epoch'}],
        },
    )
    assert dict(cfg.default_hooks.checkpoint) == {
        'type': 'CheckpointHook',
        'by_epoch': False,
        'interval': 200,
        'save_last': True,
        'save_best': 'auto',
    }
    assert cfg.default_hooks.logger.interval == 10
    assert cfg.log_processor.by_epoch is False
    assert cfg.log_processor.custom_cfg[0].window_size == 'global'


def test_a_config_without_hooks_gets_the_default_ones():
    cfg = short(10)
    assert cfg.default_hooks.checkpoint.interval == 10
    assert cfg.default_hooks.logger.interval == 1


def test_the_sampler_goes_on_for_ever_with_the_same_shuffling():
    cfg = short(10, train_dataloader={'sampler': {'type': 'DefaultSampler', 'shuffle': True}})
    assert dict(cfg.train_dataloader.sampler) == {'type': 'InfiniteSampler', 'shuffle': True}


def test_starts_of_hooks_follow():
    cfg = short(
        120,
        custom_hooks=[{'type': 'EMAHook', 'begin_epoch': 6}],
        default_hooks={'st': {'type': 'mmst.StimulativeHook', 'begin': 3, 'by_epoch': True}},
    )
    assert dict(cfg.custom_hooks[0]) == {'type': 'EMAHook', 'begin_iter': 60}
    assert dict(cfg.default_hooks.st) == {'type': 'mmst.StimulativeHook', 'begin': 30}


def test_epochs_are_not_counted_where_there_are_none():
    cfg = short(10, default_hooks={'st': {'type': 'mmst.StimulativeHook', 'by_epoch': True}})
    assert dict(cfg.default_hooks.st) == {'type': 'mmst.StimulativeHook'}


def test_scaling_twice_equals_scaling_once():
    once = short(100, WARM_UP, STEPS)
    twice = set_max_iters(short(1000, WARM_UP, STEPS), 100)
    assert once.param_scheduler == twice.param_scheduler


@pytest.mark.parametrize(
    ('max_iters', 'options', 'message'),
    [
        (0, {}, r'--max-iters must be at least 1, got 0'),
        (5, {'train_cfg': None}, r'needs a config with train_cfg, got none'),
        (5, {'train_cfg': {'type': 'MyLoop', 'max_epochs': 1}}, r"training loop 'MyLoop'"),
        (5, {'train_cfg': {'by_epoch': True}}, r'needs max_epochs or max_iters.*by_epoch'),
    ],
)
def test_what_cannot_be_scaled_is_refused(max_iters, options, message):
    with pytest.raises(ValueError, match=message):
        short(max_iters, **options)


def test_a_scheduler_that_would_never_step_is_refused():
    with pytest.raises(ValueError, match=r'MultiStepLR counts epochs.*by_epoch=False'):
        scheduler(5, STEPS, {'type': 'IterBasedTrainLoop', 'max_iters': 100})


def test_a_scheduler_of_unknown_length_is_refused():
    message = r'needs the length of param_scheduler StepLR.*give it an end'
    with pytest.raises(ValueError, match=message):
        scheduler(5, {'type': 'StepLR', 'by_epoch': False, 'step_size': 100})


@pytest.mark.parametrize(('library', 'name'), UPSTREAM)
def test_the_schedule_of_an_upstream_config_still_decays(library, name):
    pytest.importorskip(library)
    file = f'_base_ = {f"{library}::{name}"!r}'
    cfg = set_max_iters(Config.fromstring(file, '.py'), 100)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with PARAM_SCHEDULERS.switch_scope_and_registry(library) as registry:
        entries = [{'end': 100, **entry} for entry in listed(cfg.param_scheduler)]
        schedulers = [registry.build(e, default_args={'optimizer': optimizer}) for e in entries]
    values = []
    for _ in range(100):
        values.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for one in schedulers:
            one.step()
    assert max(values) == pytest.approx(1.0, abs=0.06)
    assert values[-1] < 0.2
    assert values.index(max(values)) <= 10


def listed(entries):
    return entries if isinstance(entries, list) else [entries]
