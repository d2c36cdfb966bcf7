"""Ratios are those of the samples; table, JSON and picture hold them."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from pictures import error_bars, labelled, points

from mmst.benchmark import (
    StepSample,
    environment,
    format_table,
    plot_steps,
    summarize_steps,
    write_json,
)
from mmst.benchmark.step_summary import bootstrap_interval

# Plain iterations get slower from step to step, subnets differ in size.
PLAIN_SECONDS = [1.0, 2.0, 3.0, 4.0]
EXTRA_FLOPS = [20, 50, 80, 30]


NUM_SUBNETS = {'plain': None, 'inactive': 0, 'stimulated': 2}


def sample(step, arm, seconds, flops, resize=0.0, images=0.0, peak=1000):
    return StepSample(
        step, arm, NUM_SUBNETS[arm], seconds, 2 * seconds, resize, images, 0.1 * resize, flops, peak
    )


def make_samples(overhead=1.1, outlier=1.0):
    samples = []
    for step, (seconds, extra) in enumerate(zip(PLAIN_SECONDS, EXTRA_FLOPS, strict=True)):
        slow = outlier if step == 2 else 1.0
        floor = 1 + extra / 100
        one = overhead * floor * seconds * slow
        samples += [
            sample(step, 'plain', seconds, 100, peak=900 + step),
            sample(step, 'inactive', seconds * 1.01, 100, peak=903),
            sample(step, 'stimulated', one, 100 + extra, 0.04 * one, 0.01 * one, peak=1806 - step),
        ]
    return samples


def test_ratio_to_the_floor_is_that_of_each_iteration_to_its_own():
    plain, inactive, one = summarize_steps(make_samples())
    assert (plain.time_ratio, plain.floor, plain.to_floor, plain.memory_ratio) == (1, 1, 1, 1)
    assert (plain.num_subnets, inactive.num_subnets, one.num_subnets) == (None, 0, 2)
    assert inactive.floor == 1
    assert inactive.time_ratio == pytest.approx(1.01)
    assert one.floor == pytest.approx(1.45)
    assert one.to_floor == pytest.approx(1.1)
    assert one.to_floor_range == pytest.approx((1.1, 1.1))
    assert one.time_ratio == pytest.approx(1.1 * 1.45)
    assert one.time_ratio_of_sums == pytest.approx(1.1 * (1.2 + 3 + 5.4 + 5.2) / 10)
    assert one.memory_ratio == 1806 / 903
    assert one.resize_share == pytest.approx(0.04)
    assert one.resize_inputs_share == pytest.approx(0.01)
    assert one.resize_ground_truth_share == pytest.approx(0.03)
    assert one.other_ms == pytest.approx(9.02)


def test_an_outlier_does_not_move_the_ratio():
    *_, one = summarize_steps(make_samples(outlier=10.0))
    assert one.to_floor == pytest.approx(1.1)
    assert one.to_floor_range[1] > 2
    assert one.time_ratio_of_sums > 5


def test_order_of_the_samples_does_not_matter():
    samples = make_samples(outlier=1.3)
    assert len(samples) == 12
    backwards = {summary.arm: summary for summary in summarize_steps(samples[::-1])}
    assert backwards == {summary.arm: summary for summary in summarize_steps(samples)}


def test_a_busy_machine_is_measured_by_processor_time():
    samples = make_samples(outlier=10.0)
    samples = [
        StepSample(**{**asdict(entry), 'cpu_seconds': 3.0 * entry.flops}) for entry in samples
    ]
    *_, one = summarize_steps(samples, clock='cpu')
    assert one.to_floor == one.to_floor_range[1] == pytest.approx(1)
    assert one.seconds == pytest.approx(3 * 140)
    with pytest.raises(ValueError, match=r"clock must be one of \('wall', 'cpu'\), got 'sun'"):
        summarize_steps(samples, clock='sun')


def test_iterations_are_added_up_over_the_interval():
    samples = []
    for step in range(4):
        active = step % 2 == 0
        samples += [
            sample(step, 'plain', 1.0, 100),
            sample(step, 'stimulated', 1.8 if active else 1.0, 160 if active else 100),
        ]
    _, one = summarize_steps(samples, interval=2)
    assert one.floor == pytest.approx(1.3)
    assert one.time_ratio == pytest.approx(1.4)


@pytest.mark.parametrize(
    ('samples', 'message'),
    [
        (
            [sample(0, 'stimulated', 1.0, 100)],
            "samples must hold iterations of the arm 'plain', got none",
        ),
        ([sample(0, 'plain', 1.0, 0)], 'the model must have matrix products or convolutions'),
    ],
)
def test_samples_that_say_nothing_are_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        summarize_steps(samples)


def test_interval_of_the_median_covers_it():
    values = [1 + 0.01 * math.sin(7 * i) for i in range(50)]
    low, high = bootstrap_interval(values)
    assert 0.99 < low < sorted(values)[25] < high < 1.01
    assert bootstrap_interval(values) == (low, high)
    narrow = bootstrap_interval(values, confidence=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert bootstrap_interval([2.0]) == (2.0, 2.0)


def test_table_has_a_line_for_each_arm():
    lines = format_table(summarize_steps(make_samples())).splitlines()
    assert len(lines) == 2 + 3
    row = 'stimulated 4510.0 ms 1.595 1.450 1.100 1.100 to 1.100 2.000 4.00 % 1.00 % 3.00 % 9.02 ms'
    assert ' '.join(lines[-1].split()) == row
    assert lines[-2].endswith('-')


def test_json_is_complete(tmp_path):
    samples = make_samples()
    summaries = summarize_steps(samples)
    write_json(
        tmp_path / 'out.json',
        settings={'seed': 3},
        environment=environment(torch.device('cpu')),
        summaries=summaries,
        samples=samples,
    )
    content = json.loads((tmp_path / 'out.json').read_text())
    assert content['settings'] == {'seed': 3}
    assert content['environment']['threads'] == torch.get_num_threads()
    assert content['environment']['device'] == 'cpu'
    assert content['environment']['device_name']
    assert content['environment']['versions']['torch'] == torch.__version__.partition('+')[0]
    assert [StepSample(**entry) for entry in content['samples']] == samples
    assert [entry['arm'] for entry in content['summary']] == ['plain', 'inactive', 'stimulated']
    assert content['summary'][2]['to_floor'] == summaries[2].to_floor


def test_picture_holds_time_floor_and_memory_by_the_number_of_subnets(tmp_path, saved_figures):
    plain, none, two = summarize_steps(make_samples(outlier=1.3))
    plot_steps([two, plain, none], tmp_path / 'out.png', 'a title')
    figure = saved_figures['out.png']
    assert figure.get_suptitle() == 'a title'
    time, memory = figure.axes
    for axis in (time, memory):
        assert axis.get_xlabel() == 'subnets per iteration, K'
        assert axis.get_xticks().tolist() == [0, 2]
        assert axis.get_ylim()[0] == 0
        assert list(labelled(axis)) == [text.get_text() for text in axis.get_legend().get_texts()]

    assert time.get_ylabel() == 'time : plain training'
    drawn = labelled(time)
    floor, measured = drawn['floor (counted FLOPs)'], drawn['measured time, 95 %']
    assert points(floor) == [(0, 1), (2, pytest.approx(1.45))]
    assert points(measured.lines[0]) == [(0, none.time_ratio), (2, two.time_ratio)]
    assert two.to_floor_range == pytest.approx((1.1, 1.43))
    assert error_bars(measured) == [
        pytest.approx((0, 1.01, 1.01)),
        pytest.approx((2, 1.1 * 1.45, 1.43 * 1.45)),
    ]
    band = drawn['up to 1.05 x floor'].get_paths()[0].vertices
    assert {tuple(corner) for corner in band.round(4).tolist()} == {
        (0, 1), (0, 1.05), (2, 1.45), (2, 1.5225)
    }  # fmt: skip

    assert memory.get_ylabel() == 'peak memory : plain training'
    drawn = labelled(memory)
    assert points(drawn['peak memory']) == [(0, none.memory_ratio), (2, two.memory_ratio)]
    band = drawn['up to 1.05 x plain']
    assert (band.get_y(), band.get_height()) == (1, pytest.approx(0.05))
    assert memory.get_ylim()[1] == pytest.approx(1.2 * two.memory_ratio)
    assert (tmp_path / 'out.png').stat().st_size > 0
