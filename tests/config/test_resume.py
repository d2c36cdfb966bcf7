"""Runs that start from a checkpoint, and runs that can be interrupted."""

import pytest
import torch
from mmengine.config import Config

from mmst.config import make_resumable, set_resume


def test_auto_resume_looks_into_the_work_dir():
    cfg = set_resume(Config({'load_from': 'old.pth', 'work_dir': 'x'}), 'auto')
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_a_checkpoint_to_resume_from_is_checked(tmp_path):
    torch.save({}, tmp_path / 'a.pth')
    cfg = set_resume(Config(), str(tmp_path / 'a.pth'))
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'a.pth'))
    with pytest.raises(FileNotFoundError, match=r"--resume needs an existing checkpoint, got 'b'"):
        set_resume(Config(), 'b')


def run(loop, workers=2, **loader):
    return Config(
        {'train_cfg': loop, 'train_dataloader': dict(num_workers=workers, **loader), 'seed': 1}
    )


EPOCHS, ITERATIONS = {'by_epoch': True, 'max_epochs': 2}, {'by_epoch': False, 'max_iters': 9}


def test_every_run_gets_random_states_of_its_own():
    cfg = make_resumable(run(ITERATIONS, persistent_workers=True))
    assert cfg.default_hooks.random_state.type == 'mmst.RandomStateHook'
    assert cfg.train_dataloader == {'num_workers': 2, 'persistent_workers': True}
    cfg = Config({'default_hooks': {'random_state': None, 'timer': {'type': 'IterTimerHook'}}})
    assert make_resumable(cfg).default_hooks == {
        'random_state': None,
        'timer': {'type': 'IterTimerHook'},
    }


def test_workers_of_an_epoch_based_run_are_started_anew():
    loader = make_resumable(
        run(EPOCHS, persistent_workers=True, disable_subprocess_warning=True)
    ).train_dataloader
    seeded = {'type': 'mmst.seed_worker'}
    assert loader == {'num_workers': 2, 'persistent_workers': False, 'worker_init_fn': seeded}
    assert make_resumable(run(EPOCHS, 0)).train_dataloader == {'num_workers': 0}
    own = {'worker_init_fn': {'type': 'mine'}, 'persistent_workers': True}
    assert make_resumable(run(EPOCHS, **own)).train_dataloader == {'num_workers': 2, **own}
