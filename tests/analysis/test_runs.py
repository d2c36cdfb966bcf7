"""Several runs on common axes, by the values of written logs."""

import csv

import pytest
import torch
from classifier_config import classifier_config
from mmengine.config import Config
from pictures import color_of, labelled, points
from torch.utils.flop_counter import FlopCounterMode

from mmst.checkpoints.build import build_model
from mmst.cli.plot_runs import main

SUBNET = 'subnet_1_1/acc'


def train(step, loss, **values):
    return {'loss': loss, **values, 'epoch': (step - 1) // 4 + 1, 'iter': step, 'step': step}


PLAIN = [
    train(2, 3.0),
    train(4, 2.0),
    {'acc': 10.0, 'aux': 1.0, 'data_time': 0.1, 'time': 0.2, 'step': 1},
    {SUBNET: 4.0, 'subnet_1_1/gap/acc': 6.0, 'step': 1},
    train(6, 1.0),
    train(8, 0.5),
    {'acc': 30.0, 'step': 2},
    {SUBNET: 12.0, 'subnet_1_1/gap/acc': 18.0, 'step': 2},
]
# The first two iterations train no subnet, and images are half as large in the last four.
STIMULATED = [
    train(2, 3.0),
    train(4, 2.0, **{'subnet/loss': 5.0, 'subnet/cost': 0.5}),
    {'acc': 20.0, 'step': 1},
    train(6, 1.0, **{'subnet/loss': 4.0, 'subnet/cost': 0.3, 'main/area': 0.25}),
    train(8, 0.5, **{'subnet/loss': 3.0, 'subnet/cost': 0.1, 'main/area': 0.25}),
    {'acc': 40.0, 'step': 2},
]
UNCOUNTED = [train(2, 1.0, **{'subnet/loss': 1.0})]
SPENT = {2: 2.0, 4: 5.0, 6: 6.1, 8: 6.8}


@pytest.fixture
def plot(tmp_path, write, saved_figures):
    """Runs the command on both runs; returns the axes of the figure and the rows of the table."""

    def run(*options, runs=(PLAIN, STIMULATED), config=None):
        folders = [write(lines, name=f'run{index}') for index, lines in enumerate(runs)]
        if config is not None:
            for folder in folders:
                config.dump(next(folder.glob('*/vis_data')) / 'config.py')
        names = [f'{name}={folder}' for name, folder in zip(('ct', 'st'), folders, strict=False)]
        main([*names, '--out-dir', str(tmp_path / 'out'), *options])
        assert (tmp_path / 'out/runs.svg').stat().st_size > 0
        with open(tmp_path / 'out/runs.csv', newline='') as stream:
            return saved_figures['runs.png'].axes, list(csv.DictReader(stream))

    return run


def drawn(axis):
    return {name: points(line) for name, line in labelled(axis).items()}


def test_metric_and_losses_are_drawn_against_epochs_and_cost(plot, capsys):
    (metric, metric_cost, loss, loss_cost), _ = plot()
    cost = 'training cost (iterations of plain training)'
    assert [axis.get_xlabel() for axis in (metric, metric_cost)] == ['epoch', cost]
    assert [axis.get_ylabel() for axis in (metric, loss)] == ['acc', 'training loss']
    assert drawn(metric) == {
        'ct': [(1, 10), (2, 30)],
        'ct, subnet 1,1': [(1, 4), (2, 12)],
        'st': [(1, 20), (2, 40)],
    }
    assert drawn(metric_cost) == {
        'ct': [(4, 10), (8, 30)],
        'ct, subnet 1,1': [(4, 4), (8, 12)],
        'st': [pytest.approx((SPENT[4], 20)), pytest.approx((SPENT[8], 40))],
    }
    assert drawn(loss) == {
        'ct': [(0.5, 3), (1, 2), (1.5, 1), (2, 0.5)],
        'st': [(0.5, 3), (1, 2), (1.5, 1), (2, 0.5)],
        'st, subnets': [(1, 5), (1.5, 4), (2, 3)],
    }
    assert drawn(loss_cost)['st, subnets'] == [
        pytest.approx((SPENT[step], value)) for step, value in ((4, 5), (6, 4), (8, 3))
    ]
    lines = labelled(metric_cost)
    assert color_of(lines['ct']) == color_of(lines['ct, subnet 1,1']) != color_of(lines['st'])
    legend = metric.figure.legends[0].get_texts()
    assert [text.get_text() for text in legend] == ['ct', 'ct, subnet 1,1', 'st', 'st, subnets']
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[1:3] == [['ct', '8', '8.0', '30.0000'], ['st', '8', '6.8', '40.0000']]


def test_the_table_has_each_point_of_the_figure(plot):
    axes, rows = plot()
    assert (
        len(rows)
        == 2 + 2 + 2 + 4 + 4 + 3
        == sum(len(curve) for axis in (axes[0], axes[2]) for curve in drawn(axis).values())
    )
    assert rows[2] == {
        'run': 'ct', 'network': '1,1', 'scalar': 'acc', 'iteration': '4', 'epoch': '1.0',
        'plain_iterations': '4.0', 'flops': '', 'value': '4.0',
    }  # fmt: skip
    last = rows[-1]
    assert (last['run'], last['network'], last['iteration']) == ('st', 'subnets', '8')
    assert float(last['plain_iterations']) == pytest.approx(SPENT[8])


def test_with_a_size_the_cost_is_in_flops(plot):
    backbone = {'type': 'ResNet', 'depth': 18, 'base_channels': 8, 'stem_channels': 8}
    config = classifier_config(backbone)
    config.train_dataloader = {'batch_size': 5}
    with FlopCounterMode(display=False) as counter:
        build_model(config).eval()(torch.zeros(1, 3, 32, 64), mode='tensor')
    one = 3 * 5 * counter.get_total_flops()
    axes, rows = plot('--size', '32', '64', config=config)
    assert axes[1].get_xlabel() == 'training FLOPs (MFLOPs)'
    assert drawn(axes[1])['st'][1] == pytest.approx((SPENT[8] * one / 1e6, 40))
    assert float(rows[-1]['flops']) == pytest.approx(SPENT[8] * one)


def test_in_an_interval_one_iteration_has_the_logged_cost(plot):
    hook = {'type': 'mmst.StimulativeHook', 'interval': 2}
    config = Config({'default_hooks': {'stimulative': hook, 'checkpoint': {'save_best': 'aux'}}})
    axes, _ = plot('--metric', 'acc', config=config)
    expected = 2 + 2 * (1 + 0.25) + 2 * (0.25 + 0.15) + 2 * (0.25 + 0.05)
    assert drawn(axes[1])['st'][1] == pytest.approx((expected, 40))
    assert drawn(plot(config=config)[0][0]) == {'ct': [(1, 1)]}  # the metric of the config


def test_figure_9_is_one_panel(plot):
    (axis,), rows = plot('--against', 'epochs', '--losses')
    assert list(drawn(axis)) == ['ct', 'ct, subnet 1,1', 'st']
    assert {(row['plain_iterations'], row['flops']) for row in rows} == {('', '')}


def test_iterations_stand_in_for_epochs_of_a_run_without_them(plot):
    lines = [{'loss': 1.0, 'iter': 5, 'step': 5}, {'acc': 50.0, 'step': 10}]
    axes, rows = plot(runs=(PLAIN, lines))
    assert axes[0].get_xlabel() == 'iteration'
    assert drawn(axes[0])['ct'] == [(4, 10), (8, 30)] and drawn(axes[0])['st'] == [(10, 50)]
    assert drawn(axes[1])['st'] == [(10, 50)]  # validated after the last logged iteration
    assert [row['epoch'] for row in rows if row['run'] == 'st'] == ['', '']


def test_a_metric_and_a_loss_may_have_one_name(plot):
    axes, _ = plot('--metric', 'loss', runs=([*PLAIN, {'loss': 9.0, 'step': 2}],))
    assert [drawn(axis)['ct'][-1] for axis in axes] == [(2, 9), (8, 9), (2, 0.5), (8, 0.5)]


@pytest.mark.parametrize(
    ('options', 'runs', 'message'),
    [
        (['--metric', 'mAP'], [PLAIN], r"metric must be one of \['acc', 'aux'\], got 'mAP'"),
        (['--losses', 'los'], [PLAIN], r"--losses must be among \['loss'\], got \['los'\]"),
        (['--losses'], [PLAIN[:2]], 'must have a validation if no loss is drawn'),
        ([], [UNCOUNTED], 'ct must have logged subnet/cost .*--against'),
        ([], [[{'acc': 1.0, 'step': 4}]], "--losses must be among"),
        (['--losses'], [[{'acc': 1.0, 'step': 4}]], 'ct must have logged an iteration, got none'),
        (['--size', '8', '8'], [PLAIN], '--size needs the config of each run'),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(plot, options, runs, message):
    with pytest.raises(SystemExit, match=message):
        plot(*options, runs=runs)


def test_runs_of_one_name_are_refused(write):
    with pytest.raises(SystemExit, match=r"different names, got \['run', 'run'\]; give NAME=DIR"):
        main([str(write(PLAIN)), str(write(PLAIN))])
