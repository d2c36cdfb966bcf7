"""The loop measures what training does: the same draws, the same main passes, in all arms."""

import pytest
import torch
from mmengine.hooks import Hook
from torch.utils.data import DataLoader

from mmst.benchmark import summarize_steps
from mmst.benchmark.step_loop import load_batches
from mmst.core import DepthSpace, sample_size

HOOK = {
    'type': 'mmst.StimulativeHook',
    'supervision': {'type': 'mmst.GroundTruthSupervision'},
    'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.43},
}
ARMS = ['plain', 'plain again', 'K=0', 'K=1', 'K=2']


def by_arm(loop, name):
    return [[getattr(s, name) for s in loop.samples if s.arm == arm] for arm in ARMS]


def subnet_flops(flops, step, index):
    draw = {'seed': 7, 'step': step, 'index': index}
    (depth,) = DepthSpace((3,), (3,)).sample(**draw).depths
    height, width = sample_size((40, 40), 0.43, **draw)
    assert height == width
    return flops(depth, height)


def test_counted_flops_are_those_of_the_draws(measure, flops):
    loop = measure(HOOK)
    steps = [1, 2, 3]  # after one of warm-up
    plain, plain_again, inactive, one, two = by_arm(loop, 'flops')
    assert plain == plain_again == inactive == [flops(3)] * 3
    first = [subnet_flops(flops, step, 0) for step in steps]
    second = [subnet_flops(flops, step, 1) for step in steps]
    assert len(set(first)) > 1
    assert one == [flops(3) + a for a in first]
    assert two == [flops(3) + a + b for a, b in zip(first, second, strict=True)]

    floors = [summary.floor for summary in summarize_steps(loop.samples)]
    assert floors[:3] == [1, 1, 1]
    assert floors[3] == pytest.approx(1 + sum(first) / (3 * flops(3)))


def test_iterations_without_subnets_count_too(measure, flops):
    loop = measure({**HOOK, 'interval': 2}, iters=4)
    *_, one, _ = by_arm(loop, 'flops')
    assert loop.interval == 2
    active = {step: subnet_flops(flops, step, 0) for step in (2, 4)}
    assert one == [flops(3) + active.get(step, 0) for step in (1, 2, 3, 4)]
    summary = summarize_steps(loop.samples, loop.interval)[3]
    assert summary.floor == pytest.approx(1 + sum(active.values()) / (4 * flops(3)))


def test_memory_of_an_inactive_hook_is_that_of_plain_training(measure):
    plain, plain_again, inactive, one, two = by_arm(measure(HOOK), 'peak_bytes')
    assert plain == plain_again == inactive
    assert min(plain) > 2 * 4 * 40 * 40 * 4  # at least one activation
    # The gradients of subnets wait for those of the main network: 468 parameters of 4 bytes.
    assert all(0 < b - a <= 468 * 4 + 512 for a, b in zip(plain, one, strict=True))
    # Another subnet leaves its loss and the value to be logged until the step, and no gradients:
    # 8 bytes, or a scalar or two more or less, which not every run frees at the same moment.
    assert all(0 <= b - a <= 16 for a, b in zip(one, two, strict=True))


def test_time_in_resizing_is_part_of_the_iteration(measure):
    loop = measure(HOOK)
    for sample in loop.samples:
        assert sample.seconds > sample.resize_seconds >= sample.resize_inputs_seconds
        assert (sample.resize_inputs_seconds > 0) == (sample.arm in ('K=1', 'K=2'))
        assert (sample.other_seconds > 0) == (sample.arm in ('K=1', 'K=2'))


class Losses(Hook):
    """Keeps the main loss of each iteration, by step."""

    def __init__(self):
        self.losses = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.setdefault(batch_idx, []).append(outputs['loss'].item())


def test_all_arms_do_the_same_main_passes(measure):
    record = Losses()
    measure(HOOK, custom_hooks=[record])
    assert list(record.losses) == [0, 1, 2, 3]
    # Each of the five arms is timed; after the warm-up, all but one are counted as well.
    assert [len(losses) for losses in record.losses.values()] == [5, 9, 9, 9]
    assert all(len(set(losses)) == 1 for losses in record.losses.values())
    assert len({losses[0] for losses in record.losses.values()}) == 3  # as many batches


def test_memory_format_is_applied(measure):
    loop = measure(HOOK, num_subnets=(0,), iters=1, channels_last=True)
    weight = loop.runner.model.backbone.stage[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert loop.input_shapes == [(2, 1, 40, 40)] * 2


def test_a_short_data_set_is_started_again():
    loader = DataLoader(torch.arange(6), batch_size=2)
    assert [batch.tolist() for batch in load_batches(loader, 4)] == [[0, 1], [2, 3], [4, 5], [0, 1]]
    assert len(load_batches(loader, 2)) == 2


def test_a_dataloader_without_batches_is_refused():
    loader = DataLoader(torch.arange(1), batch_size=2, drop_last=True)
    with pytest.raises(ValueError, match='train_dataloader must yield at least one batch'):
        load_batches(loader, 1)
