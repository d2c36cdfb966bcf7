"""Two processes with gloo train what one process would, and stay together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name('rank.py')
SETTINGS = {
    'indices': list(range(8)),
    'max_iters': 1,
    'lr': 0.0,
    'norm_eval': True,
    'with_cp': False,
    'accumulative_counts': 1,
    'find_unused_parameters': False,
}


def run(folder, name, ranks=1, **changes):
    """Runs the worker once per rank at the same time; returns what each saved."""
    settings = json.dumps({**SETTINGS, **changes})
    outs = [folder / f'{name}{rank}.pth' for rank in range(ranks)]
    processes = []
    for rank, out in enumerate(outs):
        environment = {
            **os.environ,
            'RANK': str(rank),
            'LOCAL_RANK': str(rank),
            'WORLD_SIZE': str(ranks),
            'OMP_NUM_THREADS': '1',
        }
        command = [sys.executable, str(WORKER), str(out), settings]
        processes.append(
            subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        )
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    return [torch.load(out, weights_only=True) for out in outs]


@pytest.mark.parametrize('find_unused_parameters', [False, True])
def test_gradients_are_the_mean_over_the_halves(tmp_path, find_unused_parameters):
    ranks = run(tmp_path, 'rank', ranks=2, find_unused_parameters=find_unused_parameters)
    halves = [run(tmp_path, f'half{r}', indices=[r, r + 2])[0]['gradients'] for r in (0, 1)]
    assert len(ranks[0]['gradients']) > 50
    for name, gradient in ranks[0]['gradients'].items():
        assert torch.equal(gradient, ranks[1]['gradients'][name]), name
        mean = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(gradient, mean, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    'changes', [{}, {'accumulative_counts': 2, 'with_cp': True}], ids=['plain', 'accumulating']
)
def test_ranks_draw_alike_and_stay_together(tmp_path, changes):
    """Images 0 and 4 have no objects: a rank without ground truth must not fall out of step."""
    first, second = run(
        tmp_path, 'rank', ranks=2, max_iters=10, lr=0.01, norm_eval=False, **changes
    )
    assert first['depths'] == second['depths']
    assert len({tuple(depths) for depths in first['depths']}) > 3
    for name, parameter in first['parameters'].items():
        assert torch.equal(parameter, second['parameters'][name]), name
        assert torch.isfinite(parameter).all(), name
