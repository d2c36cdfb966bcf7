"""Resumed runs draw what the interrupted one would have drawn, and say what is different."""

from pathlib import Path

import pytest

from mmst.engine.supervision import GroundTruthSupervision

CHECKPOINT = {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 2}


def test_resumed_draws_are_those_of_the_uninterrupted_run(make_toy_runner, hook_config):
    hooks = {'checkpoint': CHECKPOINT, 'stimulative': hook_config(num_subnets=2)}
    whole = make_toy_runner(max_iters=4, default_hooks=hooks)
    whole.train()
    resumed = make_toy_runner(
        max_iters=4, default_hooks=hooks, load_from=f'{whole.work_dir}/iter_2.pth', resume=True
    )
    resumed.train()
    keys = ('size', 'depth_1', 'depth_2', 'depth_3', 'depth_4', 'cost')
    drawn = [[values[key][0] for key in keys] for values in whole.record.subnet]
    assert len(resumed.record.subnet) == 2
    assert drawn[2:] == [[values[key][0] for key in keys] for values in resumed.record.subnet]
    assert len({tuple(depths) for _, *depths, _ in drawn}) > 2


@pytest.fixture
def resume(make_classifier_runner, hook_config):
    """Trains two iterations, resumes with another hook, returns the warnings of its log."""

    def resume(first, second, **settings):
        runs = []
        for hook in (first, second):
            hooks = {'checkpoint': CHECKPOINT, 'logger': None}
            if hook is not None:
                hooks['stimulative'] = hook_config(**hook)
            start = {}
            if runs:
                start = {'load_from': f'{runs[0].work_dir}/iter_2.pth', **settings}
            runs.append(
                make_classifier_runner(
                    None,
                    max_iters=2 + 2 * len(runs),
                    default_hooks=hooks,
                    log_level='WARNING',
                    **start,
                )
            )
            runs[-1].train()
        text = Path(runs[1].log_dir, f'{runs[1].timestamp}.log').read_text()
        return [line for line in text.splitlines() if 'StimulativeHook' in line]

    return resume


def test_other_settings_are_named(resume):
    other = {'num_subnets': 2, 'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.75}}
    (warning,) = resume({}, other, resume=True)
    assert 'will differ' in warning
    assert 'num_subnets was 1, is 2' in warning
    assert "'min_ratio': 0.5}, is {" in warning
    assert 'weight was' not in warning


def test_longer_run_differs_only_under_a_schedule(resume):
    assert resume({}, {}, resume=True) == []
    (warning,) = resume({'weight_schedule': 'falling'}, {'weight_schedule': 'falling'}, resume=True)
    assert 'max_iters was 2, is 4' in warning


def test_run_that_was_not_stimulated_is_pointed_out(resume):
    (warning,) = resume(None, {}, resume=True)
    assert 'resumes one without mmst.StimulativeHook' in warning


def test_weights_of_another_run_are_no_resume(resume):
    assert resume({}, {'num_subnets': 2}) == []


def test_count_of_skipped_passes_goes_on(make_classifier_runner, hook_config, monkeypatch):
    losses = GroundTruthSupervision.losses
    monkeypatch.setattr(
        GroundTruthSupervision,
        'losses',
        lambda self, *args: (losses(self, *args)[0] * float('nan'), {}),
    )
    hooks = {'checkpoint': CHECKPOINT, 'stimulative': hook_config(on_nonfinite='skip')}
    first = make_classifier_runner(None, max_iters=2, default_hooks=hooks)
    first.train()
    second = make_classifier_runner(
        None,
        max_iters=4,
        default_hooks=hooks,
        load_from=f'{first.work_dir}/iter_2.pth',
        resume=True,
    )
    second.train()
    assert [values['skipped'][0] for values in second.record.subnet] == [3, 4]
