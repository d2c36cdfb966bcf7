"""The search evaluates what a limit allows, once, and takes the best."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from torch import nn

from mmst.core import DepthCost, DepthSpace
from mmst.subnets import search as subnet_search
from mmst.subnets.cost import Latency, SubnetCost
from mmst.subnets.search import Limits, search_subnets

SCORES = {(1, 1): 0.1, (2, 1): 0.4, (1, 2): 0.3, (2, 2): 0.5}
LATENCIES = {(1, 1): 0.5, (2, 1): 0.9, (1, 2): 0.6, (2, 2): 1.0}


class FakeMeter:
    """Knows what each subnet costs."""

    def __init__(self):
        self.backbone = nn.Module()
        self.backbone.depth_space = DepthSpace((2, 2))
        self.flops = DepthCost(100, ((10, 20), (10, 30)))
        self.measured = []

    def measure(self, depths, repeats):
        self.measured.append(depths)
        flops = {(1, 1): 50, (2, 1): 70, (1, 2): 80, (2, 2): 100}[depths]
        return SubnetCost((9, 5), (100, flops), Latency(10.0, 5.0, LATENCIES[depths]))


@pytest.fixture
def search(monkeypatch, tmp_path):
    tested = []

    def run_subnet_test(runner, depths, recalibrate, batches):
        if search.broken == len(tested):
            raise KeyboardInterrupt
        tested.append(depths)
        return {} if depths in search.silent else {'classwise': [1, 2], 'acc': SCORES[depths]}

    monkeypatch.setattr(subnet_search, 'run_subnet_test', run_subnet_test)

    def search(limits, metric=None, key=None):
        return search_subnets(
            SimpleNamespace(cfg=Config({})),
            FakeMeter(),
            limits,
            tmp_path / 'results.jsonl',
            key=key or {'checkpoint': 'a'},
            metric=metric,
            log=search.lines.append,
        )

    search.broken, search.tested, search.lines, search.silent = None, tested, [], set()
    return search


def test_the_best_within_a_limit_of_flops(search):
    measured, metric, best = search(Limits(max_flops=0.9))
    assert search.tested == [(1, 1), (2, 1), (1, 2)]
    assert [one.metrics for one in measured] == [{'acc': 0.1}, {'acc': 0.4}, {'acc': 0.3}]
    assert (metric.name, best.depths) == ('acc', (2, 1))
    assert search.lines[1] == '[2/3] 2,1: FLOPs x 0.700, latency x 0.900, acc 0.4000'


def test_the_best_within_a_limit_of_latency(search):
    _, _, best = search(Limits(max_latency=0.7))
    assert search.tested == [(1, 1), (1, 2)]
    assert best.depths == (1, 2)
    assert search.lines[1].endswith('latency x 0.900, over the limit')


def test_an_interrupted_search_goes_on_where_it_stopped(search):
    search.broken = 2
    with pytest.raises(KeyboardInterrupt):
        search(Limits(max_flops=1))
    search.broken = None
    _, _, best = search(Limits(max_flops=1))
    assert search.tested == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert best.depths == (2, 2)


def test_results_of_another_checkpoint_are_not_taken(search):
    search(Limits(max_flops=0.5))
    search(Limits(max_flops=0.5), key={'checkpoint': 'b'})
    assert search.tested == [(1, 1), (1, 1)]


def test_a_network_that_detects_nothing_is_not_chosen(search):
    search.silent = {(1, 1), (1, 2)}
    _, metric, best = search(Limits(max_flops=0.9))
    assert (metric.name, best.depths) == ('acc', (2, 1))
    assert search.lines[0].endswith(', no result') and search.lines[2].endswith(', no result')
    search.silent = set(SCORES)
    with pytest.raises(ValueError, match='must have a validation metric.* none for all 3'):
        search(Limits(max_flops=0.9), key={'checkpoint': 'b'})


def test_an_unknown_metric_is_found_after_the_first_evaluation(search):
    with pytest.raises(ValueError, match=r"metric must be one of \['acc'\], got 'mAP'"):
        search(Limits(max_flops=1), metric='mAP')
    assert len(search.tested) == 1


def test_a_latency_below_all_is_refused(search):
    with pytest.raises(ValueError, match=r'--max-latency 0\.4 allows none of the 4 subnets'):
        search(Limits(max_latency=0.4))
    assert not search.tested


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        ({}, 'one of --max-flops and --max-latency must be given'),
        ({'max_flops': 1, 'max_latency': 1}, 'must be given, not both'),
        ({'max_flops': 0}, '--max-flops must be positive'),
        ({'max_latency': 0}, '--max-latency must be a positive ratio, got 0'),
        ({'max_flops': 1, 'max_candidates': 0}, '--max-candidates must be at least 1, got 0'),
    ],
)
def test_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        Limits(**limits)
