"""Subnets are evaluated during training, and nothing of the run changes by that."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from recorded_run import HOOK
from watched_run import DEPTHS, train_watched, watched_config

import mmst
from mmst.analysis.run_log import read_run_log
from mmst.checkpoints import load_checkpoint
from mmst.subnets.config import use_validation_data
from mmst.subnets.evaluation import prepare_subnet_test, run_subnet_test

KEY = 'subnet_2_1_2_1'
EMA = dict(type='EMAHook', momentum=0.3)


@pytest.fixture
def default_scope():
    """None: mmengine's modules need no scope."""


@pytest.fixture
def watch(tmp_path):
    """Trains with a SubnetEvalHook, or without."""
    runs = []

    def watch(subnet_eval, **settings):
        cfg = watched_config(tmp_path / f'run{len(runs)}', subnet_eval, **settings)
        runs.append(train_watched(cfg))
        return runs[-1]

    return watch


def scalars(runner, file='scalars.json'):
    """The lines of a json log of a run."""
    (path,) = Path(runner.work_dir).glob(f'*/vis_data/{file}')
    return [json.loads(line) for line in path.read_text().splitlines()]


def untimed(line):
    return {name: value for name, value in line.items() if name not in ('time', 'data_time')}


def same(one, other, path=''):
    """Compares nested values, tensors bit for bit; times and files' names aside."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for name in one:
            if name not in ('time', 'cfg', 'experiment_name', 'work_dir', 'eta', 'timestamp'):
                same(one[name], other[name], f'{path}/{name}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for index, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f'{path}/{index}')
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    elif hasattr(one, '_log_history'):
        if not path.endswith('time'):
            same(one._log_history.tolist(), other._log_history.tolist(), path)
    elif isinstance(one, str) and 'run' in one:
        assert one.rpartition('/')[2] == other.rpartition('/')[2], path
    else:
        assert one == other, path


@pytest.mark.parametrize(
    'settings',
    [
        {'custom_hooks': [EMA], 'stimulative': HOOK},
        {
            'custom_hooks': [{**EMA, 'update_buffers': True, 'priority': 'VERY_LOW'}],
            'by_epoch': True,
            'length': 2,
        },
    ],
    ids=['iterations', 'epochs'],
)
def test_the_run_is_bitwise_what_it_is_without(watch, settings):
    plain = watch(None, **settings)
    watched = watch({'subnets': 2, 'recalibrate': 3}, **settings)
    assert any(name.startswith('subnet_') for line in scalars(watched) for name in line)
    assert plain.spy.states == watched.spy.states
    assert len(plain.spy.metrics) == len(watched.spy.metrics) > 0
    same(plain.spy.metrics, watched.spy.metrics)
    same(plain.spy.inputs, watched.spy.inputs)
    preprocessors = [runner.model.data_preprocessor.batches for runner in (plain, watched)]
    assert preprocessors[0] == preprocessors[1] == len(plain.spy.inputs)

    names = sorted(path.name for path in Path(plain.work_dir).glob('*.pth'))
    assert names == sorted(path.name for path in Path(watched.work_dir).glob('*.pth'))
    assert [name for name in names if name.startswith('best_toy_probability')]
    for name in names:
        files = [load_checkpoint(f'{run.work_dir}/{name}') for run in (plain, watched)]
        assert {'state_dict', 'message_hub', 'ema_state_dict'} <= files[0].keys()
        assert 'optimizer' in files[0] or name.startswith('best')
        same(*files, name)

    (log,) = [f'{path.parent.parent.name}.json' for path in vis_data(watched)]
    assert [*map(untimed, scalars(plain, '2*.json'))] == [*map(untimed, scalars(watched, log))]


def vis_data(runner):
    return list(Path(runner.work_dir).glob('*/vis_data/scalars.json'))


QUIET = dict(type='NoisyImages', noise=False)
"""Validation data that draw nothing, so that values do not depend on where they are drawn."""


@pytest.mark.parametrize('hooks', [[], [EMA]], ids=['own', 'ema'])
def test_metrics_are_those_of_the_checkpoint(watch, tmp_path, hooks):
    settings = {'model': dict(type='ToyClassifier'), 'custom_hooks': hooks}
    loader = {**watched_config('none').val_dataloader, 'dataset': QUIET}
    run = watch({'subnets': [DEPTHS], 'recalibrate': 3}, val_dataloader=loader, **settings)
    cfg = watched_config(tmp_path / 'test', val_dataloader=loader, **settings)
    cfg.load_from = f'{run.work_dir}/iter_4.pth'
    prepare_subnet_test(use_validation_data(cfg))
    tested = run_subnet_test(Runner.from_cfg(cfg), DEPTHS, 3)
    assert tested['toy/images'] == 8
    whole = run.spy.metrics[-1]['toy/probability']
    assert abs(tested['toy/probability'] - whole) > 1e-4
    line = [one for one in scalars(run) if KEY in str(one)][-1]
    assert line == {
        f'{KEY}/toy/probability': pytest.approx(tested['toy/probability'], abs=1e-12),
        f'{KEY}/toy/images': 8.0,
        f'{KEY}/gap/toy/probability': pytest.approx(whole - tested['toy/probability'], abs=1e-12),
        'step': 4,
    }


def test_each_nth_validation_and_the_last_are_watched(watch):
    run = watch({'interval': 2, 'recalibrate': 0}, length=6, log_level='INFO')
    lines = [line for line in scalars(run) if 'subnet_' in str(line)]
    assert [line['step'] for line in lines] == [4, 6]
    assert 'subnet_1_1_1_1/toy/probability' in lines[0]
    whole = read_run_log(run.work_dir).metric('toy/probability')
    assert [step for step, _ in whole] == [2, 4, 6]
    (log,) = Path(run.work_dir).glob('*/*.log')
    assert 'Evaluation of 1 subnets, 2 times, took ' in log.read_text().splitlines()[-1]


@pytest.mark.parametrize('network', ['subnet', 'whole'])
def test_a_network_that_detects_nothing_ends_no_run(watch, network):
    metric = dict(type='EverySecond', first=['subnet', 'whole'].index(network))
    hook = {'subnets': [DEPTHS], 'recalibrate': 0}
    run = watch(hook, val_evaluator=metric, log_level='INFO')
    assert [bool(found) for found in run.spy.metrics] == [network == 'subnet'] * 2
    assert {'step'} not in map(set, scalars(run))
    lines = [line for line in scalars(run) if KEY in str(line)]
    assert len(lines) == (0 if network == 'subnet' else 2)
    assert not any('gap' in name for line in lines for name in line)
    (log,) = Path(run.work_dir).glob('*/*.log')
    value = 'toy/probability 0' if network == 'whole' else 'no result'
    assert f'2,1,2,1: {value}' in log.read_text()


@pytest.fixture
def start(tmp_path):
    """Starts a run with a hook up to its first iteration."""

    def start(hook, **settings):
        cfg = watched_config(tmp_path, **settings)
        if settings.get('val_cfg', {}) is None:
            cfg.val_dataloader = cfg.val_evaluator = None
        mmst.SubnetEvalHook(**hook).before_train(Runner.from_cfg(cfg))

    return start


@pytest.mark.parametrize(
    ('hook', 'settings', 'message'),
    [
        ({'subnets': 0}, {}, "subnets must be 'smallest', a positive number, or a list.* got 0"),
        ({'subnets': True}, {}, 'subnets must be .* got True'),
        ({'subnets': 'largest'}, {}, "subnets must be .* got 'largest'"),
        ({'subnets': []}, {}, r'subnets must be .* got \[\]'),
        ({'subnets': [3]}, {}, r'subnets must be .* got \[3\]'),
        ({'interval': 0}, {}, 'interval must be at least 1 validation, got 0'),
        ({'recalibrate': -1}, {}, 'recalibrate must be at least 0 training batches, got -1'),
        ({'subnets': [(2, 2, 2, 2)]}, {}, r'fewer blocks than the whole network \(2, 2, 2, 2\)'),
        ({'subnets': [(2, 2, 2, 3)]}, {}, r'within stages of \(2, 2, 2, 2\) blocks'),
        ({}, {'val_cfg': None}, 'needs a run with validation, got none'),
    ],
)
def test_what_cannot_be_watched_is_refused_before_the_first_iteration(
    start, hook, settings, message
):
    with pytest.raises(ValueError, match=message):
        start(hook, **settings)


def test_statistics_that_training_does_not_change_are_not_recomputed(start):
    frozen = {'model': dict(type='ToyClassifier', norm_eval=True)}
    start({}, **frozen)
    with pytest.raises(ValueError, match='recalibrate must be 0 for a ToyClassifier without'):
        start({'recalibrate': 3}, model=dict(type='ToyClassifier', norm_cfg=dict(type='IN')))


@pytest.mark.slow
def test_two_ranks_evaluate_together_and_train_as_without(start_process, tmp_path):
    outs = [tmp_path / f'rank{rank}.pth' for rank in range(2)]
    processes = [start_process('watch_worker', 'train', out, rank) for rank, out in enumerate(outs)]
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    plain, watched = zip(*map(torch.load, outs), strict=True)
    assert len(watched[0]['state']) > 50
    for rank in range(2):
        same(plain[rank]['state'], watched[rank]['state'])
        same(plain[rank]['random'], watched[rank]['random'])
    same(watched[0]['found'], watched[1]['found'])
    (found,) = watched[0]['found']
    assert [metrics['toy/images'] for metrics in found.values()] == [8, 8]
    means = [rank['recomputed'] for rank in watched]
    assert torch.equal(*means)
    assert not torch.equal(means[0], watched[0]['state']['backbone.layer1.0.bn1.running_mean'])
