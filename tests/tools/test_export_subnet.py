"""tools/export_subnet.py takes subnets out that are what tools/test.py --depths measures."""

import json
import pickle

import pytest
import torch
from mmengine.config import Config

from mmst.checkpoints import load_checkpoint


@pytest.fixture
def trained(tiny, run_tool, tmp_path):
    """A tiny config, its data options, and a checkpoint after two iterations."""
    config, data = tiny
    run_tool(
        'train', config, '--data-root', data, '--work-dir', tmp_path / 'run', '--weights', 'none',
        '--max-iters', 2, '--seed', 3, '--no-validate',
    )  # fmt: skip
    # As --weights none trained: norm layers are live.
    return tmp_path / 'run' / config.name, tmp_path / 'run' / 'iter_2.pth'


def test_an_exported_subnet_is_the_tested_one_and_trains_on(trained, run_tool, tmp_path):
    config, checkpoint = trained
    out = tmp_path / 'out'
    run_tool('export_subnet', config, checkpoint, out, '--depths', '2,1,2,1', '--repeats', 1)
    name = f'{config.stem}_2-1-2-1'
    exported, weights = out / f'{name}.py', out / f'{name}.pth'

    def results(metrics, *arguments):
        dump = tmp_path / 'predictions.pkl'
        run_tool('test', *arguments, '--out', metrics, '--dump', dump, '--work-dir', tmp_path / 'w')
        return json.loads(metrics.read_text()), pickle.loads(dump.read_bytes())

    wanted = results(tmp_path / 'a.json', config, checkpoint, '--depths', '2,1,2,1')
    got = results(tmp_path / 'b.json', exported, weights)
    assert wanted[0] and got[0] == wanted[0]
    print(got[0])
