"""Sources of the tables of docs/results.md: data of the configs, and the runner's script."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample

from mmst.core import resize_batch

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIGS = TOOLS / 'experiments' / 'configs'

pytest.importorskip('mmpretrain')


@pytest.fixture
def experiments(monkeypatch):
    """Configs find their modules beside tools/train.py, as they do when that runs."""
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.fixture
def grocery(tmp_path):
    """Three classes in train, of which val lacks the second."""
    rng = np.random.default_rng(0)
    for split, names in (('train', 'abc'), ('val', 'ac'), ('test', 'abc')):
        for name in names:
            folder = tmp_path / 'data' / split / f'{name}_fruit'
            folder.mkdir(parents=True)
            for index in range(2):
                image = rng.integers(0, 255, (40, 32, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f'{index}.png'), image)
    return tmp_path / 'data'


def dataset(root, split):
    cfg = Config.fromfile(CONFIGS / 'grocery_effnet_lite0.py')
    settings = {**cfg.val_dataloader.dataset, 'data_root': str(root), 'data_prefix': split}
    return DATASETS.build({**settings, 'type': 'mmpretrain.ClassFolders', 'pipeline': []})


def test_labels_are_those_of_train_where_a_split_lacks_a_class(experiments, grocery):
    for split, labels in (('train', [0, 0, 1, 1, 2, 2]), ('val', [0, 0, 2, 2])):
        data = dataset(grocery, split)
        assert data.CLASSES == ('a_fruit', 'b_fruit', 'c_fruit')
        assert data.get_gt_labels().tolist() == labels
        for index, label in enumerate(labels):
            folder = Path(data.get_data_info(index)['img_path']).parent.name
            assert folder == data.CLASSES[label]


def test_a_folder_that_is_no_class_is_an_error(experiments, grocery):
    shutil.copytree(grocery / 'val' / 'a_fruit', grocery / 'val' / 'd_fruit')
    with pytest.raises(ValueError, match=r"6 images, unknown folders \['d_fruit'\]"):
        dataset(grocery, 'val')


def preprocessor(min_ratio):
    cfg = Config.fromfile(CONFIGS / 'grocery_effnet_lite0.py')
    settings = {**cfg.model.data_preprocessor, 'min_ratio': min_ratio}
    return MODELS.build({**settings, '_scope_': 'mmpretrain'})


def batch():
    samples = [DataSample().set_gt_label(index) for index in range(4)]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return {'inputs': images, 'data_samples': samples}


def test_training_batches_get_one_random_size_each(experiments):
    random_size, full_size = preprocessor(0.5), preprocessor(1.0)
    full = full_size(batch(), training=True)['inputs']
    assert torch.equal(full, (batch()['inputs'].flip(1).float() - 127.5) / 127.5)
    sides, areas = [], []
    torch.manual_seed(0)
    for _ in range(300):
        data = random_size(batch(), training=True)
        height, width = data['inputs'].shape[-2:]
        assert torch.equal(data['inputs'], resize_batch(full, (height, width)))
        assert [sample.gt_label.item() for sample in data['data_samples']] == [0, 1, 2, 3]
        areas.append(MessageHub.get_current_instance().get_scalar('train/main/area').current())
        assert areas[-1] == height * width / 32**2
        sides.append(height)
    assert set(sides) == set(range(16, 33))
    assert np.mean(areas) == pytest.approx(random_size.expected_area_ratio, abs=0.03)
    torch.manual_seed(0)
    again = [random_size(batch(), training=True)['inputs'].shape[-1] for _ in range(20)]
    assert again == sides[:20]  # the run's random states decide
    assert torch.equal(random_size(batch(), training=False)['inputs'], full)


def test_images_are_laid_out_channels_last(experiments):
    for min_ratio in (0.5, 1.0):
        inputs = preprocessor(min_ratio)(batch(), training=True)['inputs']
        assert inputs.is_contiguous(memory_format=torch.channels_last)


GRID = """
title: tiny
config: {config}
input_hw: [64, 64]
iters: 20
metric: accuracy/top1
seeds: [0]
baseline: plain
arms:
  plain: {{label: plain}}
"""


def test_the_door_writes_tables_and_says_what_is_wrong(run_tool, tmp_path):
    grid, page = tmp_path / 'grid.yaml', tmp_path / 'page.md'
    grid.write_text(GRID.format(config='c.py'))
    page.write_text('<!-- results of grid: begin -->\n<!-- results of grid: end -->\n')
    with pytest.raises(SystemExit) as stop:
        run_tool('benchmark', 'table', page, grid, '--results', tmp_path)
    assert stop.value.code is None
    assert '| plain | missing | missing | missing | missing | 0 of 1 |' in page.read_text()
    assert (tmp_path / 'grid.png').exists()
    with pytest.raises(SystemExit, match=r"FileNotFoundError: config must be .*got 'c\.py'"):
        run_tool('benchmark', 'run', grid, '--results', tmp_path, '--work-dirs', tmp_path)
    with pytest.raises(SystemExit, match=r"ValueError: --arms must be of \['plain'\] of grid"):
        run_tool('benchmark', 'run', grid, '--arms', 'st')


def checkpoints(work_dirs):
    return list((work_dirs / 'grid' / 'plain-0').glob('iter_*.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_a_killed_grid_goes_on_and_gives_what_the_uninterrupted_one_gives(tiny, tmp_path):
    config, data = tiny
    grid = tmp_path / 'grid.yaml'
    grid.write_text(GRID.format(config=config))

    def start(name):
        command = [sys.executable, TOOLS / 'benchmark.py', 'run', grid, '--data-root', data]
        folders = ['--results', tmp_path / name / 'r', '--work-dirs', tmp_path / name / 'w']
        environment = {**os.environ, 'PYTHONPATH': str(TOOLS.parent), 'OMP_NUM_THREADS': '1'}
        return subprocess.Popen(
            list(map(str, [*command, *folders])), env=environment, start_new_session=True
        )

    whole = start('whole')
    killed = start('killed')
    deadline = time.monotonic() + 300
    while not checkpoints(tmp_path / 'killed' / 'w') and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / 'killed' / 'r' / 'grid').exists()
    assert start('killed').wait() == 0
    assert whole.wait() == 0

    results = [
        json.loads((tmp_path / name / 'r' / 'grid' / 'plain-0.json').read_text())
        for name in ('whole', 'killed')
    ]
    assert results[0]['cell']['iters'] == 20
    whole, killed = (result.pop('validation') for result in results)
    assert len(whole) == 10
    assert whole[-1] == killed[-1]
    # A validation that was hit by the kill, after its checkpoint, is not repeated.
    assert [one for one in whole if one in killed] == killed
    assert len(killed) >= 9
    for key in ('cell', 'metrics', 'losses', 'flops'):
        assert results[0][key] == results[1][key], key
    assert (tmp_path / 'killed/w/grid/plain-0/train.log').read_text().count('resumed') >= 1
