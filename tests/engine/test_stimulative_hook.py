"""The hook in real runs of mmengine's Runner."""

import inspect
import json
import math
import re
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from recorded_run import momentum

import mmst
from mmst.core import Draw, depth_cost, sample_size
from mmst.engine import HOOKS
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision


def buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def trained(runner):
    """Trains at once: building the next Runner seeds the global generators again."""
    runner.train()
    return runner


def passes(runner):
    """Iterations in which a subnet was trained, by the length of the logged history."""
    lengths = [values.get('loss', (None, 0))[1] for values in runner.record.subnet]
    return [step for step, n in enumerate(lengths) if n > (lengths[step - 1] if step else 0)]


def test_learning_rate_0_gives_bitwise_the_plain_run(make_toy_runner, hook_config):
    """The subnet passes disturb no data, no randomness and no statistics of the main network."""
    plain = trained(make_toy_runner(None, lr=0.0, max_iters=4))
    assert len(plain.record.outputs) == 4
    assert passes(plain) == []
    expected = buffers(plain.model)
    assert any('running_mean' in name for name in expected)
    for order in ('main_first', 'subnets_first'):
        hook = hook_config(num_subnets=2, order=order)
        stimulated = trained(make_toy_runner(hook, lr=0.0, max_iters=4))
        assert plain.record.outputs == stimulated.record.outputs
        for name, buffer in buffers(stimulated.model).items():
            assert torch.equal(buffer, expected[name]), name
        assert passes(stimulated) == [0, 1, 2, 3]


def test_gradient_is_that_of_main_plus_weighted_subnets(make_toy_runner, hook_config):
    plain = trained(make_toy_runner(None, max_iters=1, lr=0.0))
    main = momentum(plain)
    sums = []
    for order in ('main_first', 'subnets_first'):
        hook = hook_config(num_subnets=2, weight=0.5, order=order)
        sums.append(momentum(trained(make_toy_runner(hook, max_iters=1, lr=0.0))))
    model = plain.model
    data = model.data_preprocessor(next(iter(plain.train_dataloader)), training=True)
    rule = RandomSmallerInput(0.5)
    trainer = SubnetTrainer(model, model.backbone, GroundTruthSupervision(), plain.optim_wrapper)
    for index in range(2):
        draw = Draw(7, 0, index)
        subnet = model.backbone.depth_space.sample(seed=7, step=0, index=index)
        batch = subnet_batch(model, **data, list_sizes=partial(rule.sizes, draw=draw))
        trainer.run(SubnetPass(draw, subnet), batch, weight=1.0)
    changed = 0
    for name, parameter in model.named_parameters():
        subnets = torch.zeros(()) if parameter.grad is None else parameter.grad
        for both in sums:
            torch.testing.assert_close(both[name], main[name] + 0.5 * subnets, msg=name)
        changed += bool(subnets.abs().sum() > 0)
    assert changed > 50


def test_shared_norm_lets_subnets_into_the_statistics(make_classifier_runner, hook_config):
    models = [
        make_classifier_runner(hook_config(norm=norm), lr=0.0, max_iters=2).train()
        for norm in ('isolated', 'shared')
    ]
    isolated, shared = map(buffers, models)
    name = 'backbone.bn1.num_batches_tracked'
    assert (isolated[name], shared[name]) == (2, 4)
    mean = 'backbone.bn1.running_mean'
    assert not torch.equal(isolated[mean], shared[mean])


def test_training_leaves_no_hook_and_no_skipped_block(make_toy_runner):
    runner = make_toy_runner(max_iters=1)
    names = [name for name, _ in runner.model.named_modules()]
    model = runner.train()
    assert [name for name, _ in model.named_modules()] == names
    assert not model._forward_pre_hooks and not model._forward_hooks
    assert not runner.optim_wrapper.optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({'begin': 2}, [2, 3, 4, 5]),
        ({'begin': 1, 'interval': 2}, [1, 3, 5]),
        ({'begin': 1, 'by_epoch': True}, [2, 3, 4, 5]),
        ({'weight': 0.0}, []),
        ({'weight_schedule': 'rising'}, [1, 2, 3, 4, 5]),  # its weight starts at 0
        ({'weight_schedule': 'falling', 'begin': 4}, [4, 5]),
    ],
)
def test_iterations_with_subnets(make_toy_runner, hook_config, monkeypatch, changes, expected):
    calls = []
    losses = GroundTruthSupervision.losses
    monkeypatch.setattr(
        GroundTruthSupervision,
        'losses',
        lambda self, *args: calls.append(1) or losses(self, *args),
    )
    runner = make_toy_runner(hook_config(**changes), epochs=3, samples=4)
    runner.train()
    assert passes(runner) == expected
    assert len(calls) == len(expected)


def test_weight_follows_its_schedule(make_classifier_runner, hook_config):
    hook = hook_config(weight=2.0, weight_schedule='falling', begin=1)
    runner = make_classifier_runner(hook, max_iters=5)
    runner.train()
    logged = [values['weight'][0] for values in runner.record.subnet[1:]]
    assert logged == pytest.approx([1 + math.cos(math.pi * t / 4) for t in range(4)])


def padded_pixels(size_hw):
    return math.prod(-(-side // 32) * 32 for side in size_hw)


def test_logged_values_are_those_of_the_drawn_subnets(make_toy_runner, hook_config):
    runner = make_toy_runner(hook_config(num_subnets=2), max_iters=2, shuffle=False)
    runner.train()
    log = Path(runner.log_dir) / 'vis_data' / 'scalars.json'
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == 2
    space, cost = runner.model.backbone.depth_space, depth_cost(runner.model.backbone)
    for step, line in enumerate(lines):
        draws = [Draw(7, step, index) for index in range(2)]
        subnets = [space.sample(**vars(draw)) for draw in draws]
        for stage in range(4):
            mean = sum(subnet.depths[stage] for subnet in subnets) / 2
            assert line[f'subnet/depth_{stage + 1}'] == mean
        main_hw = [(96, 96), (80, 96)][step]
        sizes = [RandomSmallerInput(0.5).sizes(main_hw, draw)[-1] for draw in draws]
        assert line['subnet/size'] == sum(map(min, sizes)) / 2
        areas = [padded_pixels(size) / padded_pixels(main_hw) for size in sizes]
        costs = [cost.ratio(subnet) * area for subnet, area in zip(subnets, areas, strict=True)]
        assert line['subnet/cost'] == pytest.approx(sum(costs))
        for name in ('loss', 'loss_cls', 'loss_bbox', 'acc'):
            assert math.isfinite(line[f'subnet/{name}'])
        # The objective that mmengine optimises and logs is the main network's alone.
        losses = [outputs['loss'] for outputs in runner.record.outputs[: step + 1]]
        assert line['loss'] == pytest.approx(sum(losses) / len(losses))  # smoothed
        assert not any(name.startswith('subnet') for name in runner.record.outputs[step])


def test_tensorboard_carries_the_values_too(make_toy_runner):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    backends = [{'type': 'LocalVisBackend'}, {'type': 'TensorboardVisBackend'}]
    runner = make_toy_runner(
        max_iters=2, visualizer={'type': 'Visualizer', 'vis_backends': backends}
    )
    runner.train()
    events = accumulator.EventAccumulator(str(Path(runner.log_dir) / 'vis_data'))
    events.Reload()
    logged = [event.value for event in events.Scalars('subnet/loss_cls')]
    assert logged == pytest.approx([runner.record.subnet[0]['loss_cls'][0], logged[1]], rel=1e-5)
    assert {'subnet/loss', 'subnet/size', 'subnet/depth_3', 'subnet/cost'} <= set(
        events.Tags()['scalars']
    )


def test_start_of_a_run_says_what_will_happen(make_toy_runner, hook_config):
    runner = make_toy_runner(hook_config(num_subnets=3), max_iters=1, log_level='INFO')
    runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'Failed to import' not in text  # mmengine looks for mmst.registry
    summary = text[text.index('Stimulative training') :]
    for expected in (
        'toy_classifier.ToyResNet, 4 stages of (2, 2, 2, 2) blocks',
        '16 subnets, ordered, choices (2, 2, 2, 2), depths (1, 1, 1, 1) to (2, 2, 2, 2)',
        '3 per stimulated iteration, every iteration from iteration 0, weight 1 (constant)',
        "shorter side uniform in [0.5, 1] of the main network's",
        'supervision  ground truth',
        "x the backbone's main pass per stimulated iteration",
    ):
        assert expected in summary


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_subnets': 0}, 'num_subnets must be an integer of at least 1, got 0'),
        ({'interval': 0}, 'interval must be an integer of at least 1, got 0'),
        ({'begin': -1}, 'begin must be an integer of at least 0, got -1'),
        ({'weight': -1.0}, 'weight must be a finite number of at least 0, got -1.0'),
        ({'weight': float('nan')}, 'weight must be a finite number'),
        ({'weight': '1'}, "weight must be a finite number of at least 0, got '1'"),
        ({'num_subnets': True}, 'num_subnets must be an integer'),
        ({'supervision': None}, 'supervision must be a config with a type.*got None'),
        ({'inputs': {}}, 'inputs must be a config with a type.*RandomSmallerInput.*got {}'),
        ({'norm': 'none'}, "norm must be one of .*got 'none'"),
        ({'order': 'last'}, r"order must be one of \('main_first', .*got 'last'"),
        ({'weight_schedule': 'linear'}, "weight_schedule must be one of .*got 'linear'"),
        (
            {'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0}},
            r'min_ratio must be in \(0, 1\], got 0',
        ),
        (
            {'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 1.5}},
            r'min_ratio must be in \(0, 1\], got 1.5',
        ),
    ],
)
def test_wrong_setting_is_refused(make_classifier_runner, hook_config, changes, message):
    with pytest.raises(ValueError, match=message):
        make_classifier_runner(hook_config(**changes))


def test_misspelt_setting_is_refused(make_classifier_runner, hook_config):
    with pytest.raises(TypeError, match="unexpected keyword argument 'loss_weight'"):
        make_classifier_runner(hook_config(loss_weight=1.0))


def test_arguments_are_where_users_look_for_them():
    """They come from a dataclass; signature and help are those of the hook."""
    parameters = inspect.signature(mmst.StimulativeHook).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        'supervision': inspect.Parameter.empty,
        'inputs': None,
        'num_subnets': 1,
        'weight': 1.0,
        'begin': 0,
        'by_epoch': False,
        'interval': 1,
        'batch_fraction': 1.0,
        'weight_schedule': 'constant',
        'order': None,
        'norm': 'isolated',
        'on_nonfinite': 'stop',
        'seed': None,
    }
    arguments = inspect.getdoc(mmst.StimulativeHook).split('Args:')[1].split('Raises:')[0]
    documented = re.findall(r'^ {4}(\w+): ', arguments, re.MULTILINE)
    assert documented == list(parameters)


def test_settings_cannot_be_changed_after_they_were_checked(hook_config):
    hook = HOOKS.build(hook_config())
    with pytest.raises(FrozenInstanceError, match='weight'):
        hook.weight = -1.0


def test_backbone_without_space_is_refused_before_the_first_iteration(make_toy_runner):
    runner = make_toy_runner(model={'stimulated': False})
    with pytest.raises(ValueError, match='mmst.STBackbone, got none in ToyDetector'):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize('inputs', [None, {'type': 'mmst.RandomSmallerInput', 'min_ratio': 1.0}])
def test_space_of_the_full_network_alone_needs_smaller_inputs(make_toy_runner, hook_config, inputs):
    model = {'choices': (1, 1, 1, 1)}
    runner = make_toy_runner(hook_config(inputs=inputs), model=model)
    with pytest.raises(ValueError, match='would only repeat the main pass'):
        runner.train()
    smaller = make_toy_runner(hook_config(), model=model, max_iters=1)
    smaller.train()
    assert passes(smaller) == [0]


def test_epochs_are_refused_in_an_iteration_based_loop(make_classifier_runner, hook_config):
    runner = make_classifier_runner(hook_config(begin=1, by_epoch=True))
    with pytest.raises(ValueError, match='by_epoch must be False in an iteration-based loop'):
        runner.train()


def test_what_cannot_be_resized_is_an_error_at_the_first_batch(make_toy_runner, hook_config):
    runner = make_toy_runner(hook_config(begin=2))
    for sample in runner.train_loop.dataloader.dataset.samples:
        sample['data_samples'].gt_instances.centers = sample['data_samples'].gt_instances.bboxes
    with pytest.raises(ValueError, match="field 'gt_instances.centers'"):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize(
    'changes', [{'begin': 3}, {'weight_schedule': 'rising', 'begin': 1, 'interval': 2}]
)
def test_run_without_any_subnet_is_refused(make_classifier_runner, hook_config, changes):
    runner = make_classifier_runner(hook_config(**changes), max_iters=3)
    with pytest.raises(ValueError, match='must leave an iteration in which subnets are trained'):
        runner.train()


def test_size_that_rounds_to_nothing_is_refused():
    with pytest.raises(ValueError, match='at least one pixel'):
        RandomSmallerInput(0.01).smallest_sizes((64, 64))
    assert RandomSmallerInput(0.5).sizes((64, 96), Draw(1, 2, 3)) == [
        sample_size((64, 96), 0.5, seed=1, step=2, index=3)
    ]


def test_scope_is_left_as_it_was(make_toy_runner):
    make_toy_runner(default_scope='mmengine')
    assert DefaultScope.get_current_instance().scope_name == 'mmengine'
    assert ROOT_MODELS.get('mmst.STBackbone') is mmst.STBackbone
