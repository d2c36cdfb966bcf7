"""The gap of subnets to the whole network, by value, and what is drawn and written of it."""

import csv
import json
import math

import cv2
import pytest

from mmst.analysis.loafing import Alone, Loafing, write_csv, write_json
from mmst.analysis.loafing_plot import plot_loafing
from mmst.subnets.pareto import Candidate, Metric

ACC = Metric('acc')


def candidate(depths, score, name='acc', flops=None):
    flops = flops or 10**9 * sum(depths)
    metrics = {} if score is None else {name: score}
    return Candidate(depths, sum(depths), flops, flops / 4e9, None, None, metrics)


def network(label='ct', scores=(0.1, 0.3, 0.4, 0.8), metric=ACC):
    depths = ((1, 1), (2, 1), (1, 2), (2, 2))
    *subnets, whole = [
        candidate(one, score, metric.name) for one, score in zip(depths, scores, strict=True)
    ]
    return Loafing(label, metric, whole, subnets)


def test_loafing_is_the_mean_gap_of_the_subnets():
    one = network()
    assert [one.gap(subnet) for subnet in one.subnets] == pytest.approx([0.7, 0.5, 0.4])
    assert one.loafing == pytest.approx(1.6 / 3)
    assert one.by_blocks() == pytest.approx({2: 0.1, 3: 0.35, 4: 0.8})


def test_a_network_that_stays_equal_does_not_loaf_and_a_better_one_less_than_that():
    assert network(scores=(0.8,) * 4).loafing == 0
    assert network(scores=(0.9, 0.8, 0.8, 0.8)).loafing == pytest.approx(-0.1 / 3)


def test_a_metric_of_which_less_is_better_turns_the_sign():
    one = network(scores=(4.0, 3.0, 3.0, 1.0), metric=Metric('nme', greater=False))
    assert one.loafing == pytest.approx((3 + 2 + 2) / 3)


def test_a_subnet_that_detects_nothing_has_a_metric_of_0():
    assert network(scores=(None, 0.3, 0.4, 0.8)).gap(network().subnets[0]) == pytest.approx(0.7)
    assert network(scores=(None, 0.3, 0.4, 0.8)).loafing == pytest.approx((0.8 + 0.5 + 0.4) / 3)
    less = Metric('nme', greater=False)
    assert math.isnan(network(scores=(None, 3.0, 3.0, 1.0), metric=less).loafing)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match=r'must have subnets beside the whole network \(2, 2\)'):
        Loafing('ct', ACC, candidate((2, 2), 0.8), [])
    with pytest.raises(ValueError, match=r'must have the metric acc, got \[\]'):
        network(scores=(0.1, 0.3, 0.4, None))


def test_files_hold_each_network(tmp_path):
    alone = [Alone('small', candidate((2, 1), 0.7))]
    write_csv([network(), network('st', (0.7, 0.7, 0.8, 0.9))], alone, tmp_path / 'a.csv')
    with open(tmp_path / 'a.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    found = [(row['network'], row['kind'], row['depths'], float(row['acc'])) for row in rows]
    assert found == [
        ('ct', 'subnet', '1,1', 0.1),
        ('ct', 'subnet', '2,1', 0.3),
        ('ct', 'subnet', '1,2', 0.4),
        ('ct', 'whole', '2,2', 0.8),
        ('st', 'subnet', '1,1', 0.7),
        ('st', 'subnet', '2,1', 0.7),
        ('st', 'subnet', '1,2', 0.8),
        ('st', 'whole', '2,2', 0.9),
        ('small', 'alone', '2,1', 0.7),
    ]
    gaps = [row['gap'] for row in rows]
    assert [float(gap) for gap in gaps[:4]] == pytest.approx([0.7, 0.5, 0.4, 0.0])
    assert gaps[-1] == ''
    to_alone = {i: float(row['gap_to_alone']) for i, row in enumerate(rows) if row['gap_to_alone']}
    assert to_alone == pytest.approx({1: 0.4, 5: 0.0})

    write_json([network()], alone, tmp_path / 'a.json')
    content = json.loads((tmp_path / 'a.json').read_text())
    assert content['loafing'] == {'ct': pytest.approx(1.6 / 3)}
    assert (content['metric'], content['subnets']) == ('acc', {'ct': 3})
    assert [row['value'] for row in content['rows']] == [0.1, 0.3, 0.4, 0.8, 0.7]


def panels(figure):
    """Of each panel: axis labels, points, and curves by name."""
    for axis in figure.axes:
        points = [tuple(map(tuple, one.get_offsets().tolist())) for one in axis.collections]
        curves = {
            line.get_label(): list(map(list, line.get_data()))
            for line in axis.get_lines()
            if not line.get_label().startswith('_')
        }
        yield axis.get_xlabel(), axis.get_ylabel(), points, curves


def test_the_metric_is_drawn_against_blocks_and_flops(tmp_path, saved_figures):
    alone = [Alone('small', candidate((2, 1), 0.7)), Alone('silent', candidate((1, 1), None))]
    plot_loafing([network(), network('st', (0.7, 0.7, 0.8, 0.9))], alone, tmp_path / 'a.png')
    (blocks, metric, points, curves), (flops, _, right, _) = panels(saved_figures['a.png'])
    assert (blocks, metric, flops) == (
        'residual blocks',
        'acc',
        'FLOPs of a forward pass (GFLOPs)',
    )
    assert points[0] == ((2.0, 0.1), (3.0, 0.3), (3.0, 0.4))
    assert right == points  # a block of these is a GFLOP
    assert curves['ct: loafing 0.533'] == [[2, 3, 4], pytest.approx([0.1, 0.35, 0.8])]
    assert curves['st: loafing 0.167'] == [[2, 3, 4], pytest.approx([0.7, 0.75, 0.9])]
    assert curves['trained alone'] == [[3], [0.7]]


def test_a_picture_is_written(tmp_path):
    plot_loafing([network()], [], tmp_path / 'a.png', 'title')
    picture = cv2.imread(str(tmp_path / 'a.png'))
    assert picture.shape[1] > picture.shape[0] > 400 and picture.std() > 1
