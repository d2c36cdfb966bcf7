"""Candidates, their results in a file, the metric, and the front."""

import csv
import dataclasses
import logging
import math

import pytest
from mmengine.config import Config
from pictures import labelled, points
from torch import nn

from mmst.core import DepthCost, DepthSpace
from mmst.subnets.pareto import (
    Candidate,
    Metric,
    Results,
    candidates,
    choose_metric,
    pareto_front,
    spread_over_flops,
    spread_subnets,
    within_flops,
)
from mmst.subnets.pareto_plot import plot_front, write_front_csv

COST = DepthCost(total=100, blocks=((10, 20), (10, 30)))


def make(depths, flops, score, latency=1.0):
    return Candidate(depths, flops, flops, flops / 100, 5.0, latency, {'acc': score})


def test_the_space_of_a_backbone_holds_the_candidates():
    backbone = nn.Module()
    backbone.depth_space = DepthSpace((2, 3), (1, 2), 'stochastic')
    assert candidates(backbone) == DepthSpace((2, 3), (1, 2), 'ordered')


def test_a_plain_backbone_has_every_depth():
    torchvision = pytest.importorskip('torchvision')
    space = candidates(torchvision.models.resnet18(weights=None))
    assert space == DepthSpace((2, 2, 2, 2))


def test_candidates_are_within_the_limit_the_cheapest_first():
    space = DepthSpace((2, 2))
    assert within_flops(space, COST, 1.0, 4) == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert within_flops(space, COST, 0.75, 4) == [(1, 1), (2, 1)]
    assert within_flops(space, COST, 80, 4) == [(1, 1), (2, 1), (1, 2)]


def test_subnets_are_spread_evenly_over_flops():
    space, cost = DepthSpace((5,)), DepthCost(100, ((10, 10, 10, 10, 60),))
    assert [cost.ratio(subnet) for subnet in space] == pytest.approx([0.1, 0.2, 0.3, 0.4, 1.0])
    assert spread_over_flops(space, cost, 1) == [(1,)]
    assert spread_over_flops(space, cost, 2) == [(1,), (5,)]
    assert spread_over_flops(space, cost, 3) == [(1,), (4,), (5,)]
    assert spread_over_flops(space, cost, 4) == [(1,), (3,), (4,), (5,)]
    assert spread_over_flops(space, cost, 9) == [(1,), (2,), (3,), (4,), (5,)]


def test_subnets_of_a_space_too_large_to_list_are_spread_alike():
    space = DepthSpace((40,) * 8)
    cost = DepthCost(400, ((1,) * 40,) * 8)
    chosen = spread_over_flops(space, cost, 5)
    ratios = [sum(depths) / 400 + 0.2 for depths in chosen]
    assert chosen[0] == (1,) * 8 and chosen[-1] == (40,) * 8
    assert len(set(chosen)) == 5 and ratios == sorted(ratios)
    assert ratios[2] == pytest.approx((ratios[0] + ratios[-1]) / 2, abs=0.01)


def test_too_many_candidates_are_refused():
    with pytest.raises(ValueError, match=r'--max-candidates 2 .* of 4 in the space.*STBackbone'):
        within_flops(DepthSpace((2, 2)), COST, 80, 2)


def test_a_limit_below_the_smallest_subnet_is_refused():
    with pytest.raises(ValueError, match=r'smallest subnet \(1, 1\), which costs 0\.500 .* 0\.4'):
        within_flops(DepthSpace((2, 2)), COST, 0.4, 4)


def test_finished_candidates_are_found_again_but_not_those_of_other_settings(tmp_path):
    file = tmp_path / 'new' / 'results.jsonl'
    mine, other = Results(file, {'checkpoint': 'a'}), Results(file, {'checkpoint': 'b'})
    assert mine.read() == {}
    first, second = make((1, 2), 40, 0.5), make((2, 2), 60, math.inf)
    mine.append(first)
    other.append(make((1, 2), 1, 0.1))
    mine.append(second)
    assert mine.read() == {(1, 2): first, (2, 2): second}


def test_lines_of_something_else_are_left_alone(tmp_path):
    file = tmp_path / 'results.jsonl'
    file.write_text('[1]\n"text"\n{"depths": [1, 2]}\n')
    results, first = Results(file, {}), make((1, 2), 40, 0.5)
    assert results.read() == {}
    results.append(first)
    assert results.read() == {(1, 2): first}


def test_a_line_that_was_cut_off_is_measured_again(tmp_path):
    file = tmp_path / 'results.jsonl'
    results = Results(file, {})
    first, second = make((1, 2), 40, 0.5), make((2, 2), 60, 0.6)
    results.append(first)
    results.append(second)
    file.write_text(file.read_text()[:-20])
    assert results.read() == {(1, 2): first}
    results.append(second)
    assert results.read() == {(1, 2): first, (2, 2): second}


@pytest.mark.parametrize(
    ('checkpoint', 'name', 'expected'),
    [
        ({}, None, Metric('coco/AP')),
        ({}, 'val_loss', Metric('val_loss', greater=False)),
        ({'save_best': 'auto'}, None, Metric('other')),
        ({'save_best': 'other', 'rule': 'less'}, None, Metric('other', greater=False)),
        ({'save_best': ['coco/AP', 'other'], 'rule': ['greater', 'less']}, 'other',
         Metric('other', greater=False)),
        ({'save_best': 'other', 'rule': 'less'}, 'coco/AP', Metric('coco/AP')),
    ],
)  # fmt: skip
def test_metric_is_what_the_best_checkpoint_is_saved_by(checkpoint, name, expected):
    cfg = Config({'default_hooks': {'checkpoint': checkpoint}})
    assert choose_metric(cfg, ['other', 'coco/AP', 'val_loss'], name) == expected


def test_an_unknown_metric_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match=r"must be one of \['a', 'b'\], got 'c'"):
        choose_metric(Config({}), ['b', 'a'], 'c')


def test_the_best_is_the_cheapest_of_the_equally_good_and_never_nan():
    found = [make((1,), 10, math.nan), make((2,), 30, 0.5), make((3,), 20, 0.5), make((4,), 5, 0.1)]
    assert Metric('acc').best(found).depths == (3,)
    assert Metric('acc', greater=False).best(found).depths == (4,)


FOUND = [
    make((1, 1), 50, 0.3, 0.6),
    make((2, 1), 70, 0.2, 0.5),
    make((1, 2), 80, 0.6, 0.9),
    make((2, 2), 100, 0.6, 1.0),
]


def test_front_holds_what_no_cheaper_one_equals():
    def depths(metric, cost):
        return [one.depths for one in pareto_front(reversed(FOUND), metric, cost)]

    assert depths(Metric('acc'), lambda one: one.flops) == [(1, 1), (1, 2)]
    assert depths(Metric('acc'), lambda one: one.latency_ratio) == [(2, 1), (1, 1), (1, 2)]
    assert depths(Metric('acc', greater=False), lambda one: one.flops) == [(1, 1), (2, 1)]


def test_table_is_written(tmp_path):
    write_front_csv(FOUND, Metric('acc'), FOUND[2], tmp_path / 'front.csv')
    with open(tmp_path / 'front.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [row['depths'] for row in rows] == ['1,1', '2,1', '1,2', '2,2']
    assert [row['acc'] for row in rows] == ['0.3', '0.2', '0.6', '0.6']
    assert [row['on_flops_front'] for row in rows] == ['1', '0', '1', '0']
    assert [row['on_latency_front'] for row in rows] == ['1', '1', '1', '0']
    assert [row['chosen'] for row in rows] == ['0', '0', '1', '0']


def test_picture_holds_subnets_fronts_and_the_chosen_by_both_costs(tmp_path, saved_figures):
    plot_front(FOUND, Metric('acc'), FOUND[3], tmp_path / 'front.png', 'a title')
    figure = saved_figures['front.png']
    assert figure.get_suptitle() == 'a title'
    flops, latency = figure.axes
    assert [axis.get_ylabel() for axis in (flops, latency)] == ['acc', '']
    assert flops.get_xlabel() == 'FLOPs : whole network'
    assert latency.get_xlabel() == 'latency : whole network'
    names = [text.get_text() for text in flops.get_legend().get_texts()]
    assert names == ['subnets', 'front', 'chosen']
    for axis, front, found in (
        (flops, ['1,1', '1,2'], [(0.5, 0.3), (0.7, 0.2), (0.8, 0.6), (1.0, 0.6)]),
        (latency, ['2,1', '1,1', '1,2'], [(0.6, 0.3), (0.5, 0.2), (0.9, 0.6), (1.0, 0.6)]),
    ):
        place = dict(zip(['1,1', '2,1', '1,2', '2,2'], found, strict=True))
        drawn = labelled(axis)
        assert [tuple(point) for point in drawn['subnets'].get_offsets().tolist()] == found
        assert points(drawn['front']) == [place[name] for name in front]
        assert drawn['front'].get_drawstyle() == 'steps-post'
        assert points(drawn['chosen']) == [place['2,2']]
        assert {text.get_text(): text.xy for text in axis.texts} == {
            name: place[name] for name in [*front, '2,2']
        }
    assert (tmp_path / 'front.png').read_bytes().startswith(b'\x89PNG')


def test_a_subnet_that_detects_nothing_is_on_no_front(tmp_path, saved_figures):
    silent = dataclasses.replace(make((1, 1), 1, 0.0, latency=0.1), metrics={})
    found = [silent, *FOUND]
    metric, flops = Metric('acc'), lambda one: one.flops
    assert pareto_front(found, metric, flops) == pareto_front(FOUND, metric, flops)
    write_front_csv(found, metric, FOUND[2], tmp_path / 'front.csv')
    with open(tmp_path / 'front.csv', newline='') as stream:
        first, *others = csv.DictReader(stream)
    assert (first['acc'], first['on_flops_front'], first['on_latency_front']) == ('', '0', '0')
    assert len(others) == len(FOUND)
    plot_front(found, metric, FOUND[3], tmp_path / 'front.png')
    (points, *_) = saved_figures['front.png'].axes[0].collections
    assert len(points.get_offsets()) == len(FOUND)


class _Toy(nn.Module):
    """Three equal blocks."""

    def __init__(self, space):
        super().__init__()
        self.depth_space = space


def test_the_smallest_subnet_needs_no_count_of_flops():
    logger = logging.getLogger('test')
    assert spread_subnets(_Toy(DepthSpace((3,), (3,))), 1, logger) == [(1,)]
    assert spread_subnets(_Toy(DepthSpace((3,), (1,))), 1, logger) == []
