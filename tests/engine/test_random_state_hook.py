"""Random numbers of an iteration depend on seed and iteration, and workers follow."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader, Dataset

from mmst.engine.random_state import seed_worker


class Draws(Hook):
    """Draws in each iteration, and optionally between iterations or epochs, as a validation may."""

    def __init__(self, between=()):
        self.values, self.between = [], between

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.values.append(torch.rand(1).item())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if 'iterations' in self.between:
            torch.rand(7)

    def after_train_epoch(self, runner):
        if 'epochs' in self.between:
            torch.rand(3)


HOOKS = {'random_state': {'type': 'mmst.RandomStateHook'}, 'logger': None, 'checkpoint': None}


@pytest.mark.parametrize(('epochs', 'between'), [(None, 'iterations'), (2, 'epochs')])
def test_what_is_drawn_between_leaves_no_trace(make_classifier_runner, epochs, between):
    hooks = [Draws(), Draws((between,))]
    for hook in hooks:
        make_classifier_runner(
            None, max_iters=4, epochs=epochs, custom_hooks=[hook], default_hooks=HOOKS
        ).train()
    assert len(set(hooks[0].values)) == len(hooks[0].values) == 4
    assert hooks[0].values == hooks[1].values


def test_ranks_draw_differently(make_classifier_runner):
    hook = Draws()
    for rank in (0, 1, 1):
        runner = make_classifier_runner(None, custom_hooks=[hook], default_hooks=HOOKS, max_iters=1)
        runner._rank = rank
        runner.train()
    assert hook.values[0] != hook.values[1] == hook.values[2]


class Loop(BaseLoop):
    """A training loop that is none of mmengine's."""

    iter = epoch = 0
    max_iters = max_epochs = 1

    def run(self):
        self.runner.call_hook('before_train')


def test_loops_of_another_kind_are_left_alone(make_classifier_runner):
    runner = make_classifier_runner(None, default_hooks=HOOKS, log_level='WARNING')
    runner._train_loop = Loop(runner, runner.train_loop.dataloader)
    runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'sets no random states in a Loop' in text


def test_seeds_decide(make_classifier_runner):
    values = []
    for seed in (7, 8):
        hook = Draws()
        make_classifier_runner(
            None,
            custom_hooks=[hook],
            default_hooks=HOOKS,
            max_iters=2,
            randomness={'seed': seed},
        ).train()
        values += hook.values
    assert len(set(values)) == 4


class Noise(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.rand(1).item(), float(np.random.rand())


def epoch(rank, seed, monkeypatch):
    monkeypatch.setenv('RANK', str(rank))
    torch.manual_seed(seed)
    loader = DataLoader(Noise(), num_workers=2, worker_init_fn=seed_worker)
    return [tuple(float(value) for value in sample) for sample in loader]


def test_workers_differ_by_worker_epoch_and_rank_and_repeat(monkeypatch):
    first = epoch(0, 0, monkeypatch)
    assert first == epoch(0, 0, monkeypatch)
    others = epoch(1, 0, monkeypatch) + epoch(0, 1, monkeypatch)
    assert len({value for sample in first + others for value in sample}) == 24


def test_what_cannot_be_repeated_is_said(make_classifier_runner):
    settings = {'epochs': 2, 'default_hooks': HOOKS, 'log_level': 'WARNING'}
    runner = make_classifier_runner(None, **settings)
    runner.train_loop._iter = 1
    runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'resumes at iteration 1, within an epoch of 2 iterations' in text


def test_lasting_workers_are_pointed_out(make_classifier_runner):
    runner = make_classifier_runner(
        None, epochs=1, length=2, default_hooks=HOOKS, log_level='WARNING'
    )
    loader = runner.train_loop.dataloader
    runner.train_loop.dataloader = DataLoader(
        loader.dataset,
        batch_size=2,
        num_workers=1,
        persistent_workers=True,
        collate_fn=loader.collate_fn,
    )
    runner.train()
    text = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'persistent_workers should be False for an exact resume' in text


def test_seeding_of_workers_outside_a_worker_is_refused():
    with pytest.raises(RuntimeError, match='must run in a data loading worker'):
        seed_worker(0)
