"""Cells run once, in processes of their own, whatever is killed, fails or runs beside."""

import dataclasses
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmst.benchmark import Cell, CellRunner, cell_config, run_cells
from mmst.benchmark.cell import read_result

CONFIG = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(value=30.0)
val_evaluator = dict(type='A')
val_cfg = dict()
test_dataloader = dict(value=40.0)
test_evaluator = dict(type='A')
test_cfg = dict()
act = 'well'
"""

# Stands in for tools/train.py: counts its calls and logs what mmengine would have logged.
TRAIN = """
import json, sys, time
from pathlib import Path
work = Path(sys.argv[sys.argv.index('--work-dir') + 1])
with open(work / 'calls', 'a') as calls:
    print(*sys.argv[1:], file=calls)
config = Path(sys.argv[1]).read_text()
(work / Path(sys.argv[1]).name).write_text(config + 'added = 1')  # as mmengine's Runner does
begin = len(list(work.glob('run*'))) * 3  # after an interruption from the third iteration
vis = work / f'run{begin}' / 'vis_data'
vis.mkdir(parents=True)
with open(vis / 'scalars.json', 'w') as log:
    for step in range(begin + 1, 21):
        line = dict(lr=0.1, loss=1 / step, time=0.5, iter=step, step=step)
        print(json.dumps({**line, 'subnet/cost': 0.25 if step % 2 else 0.75}), file=log)
        if step % 2 == 0 and (step < 20 or "act = 'to the end'" not in config):
            print(json.dumps({'top1': 10.0 + step, 'step': step}), file=log)
        log.flush()
        if begin == 0 and step == 5 and "act = 'badly'" in config:
            sys.exit('out of luck')
        if begin == 0 and "act = 'slowly'" in config:
            (work / 'started').touch()
            time.sleep(600)
"""
TEST = """
import json, sys
from pathlib import Path
from mmengine.config import Config
out = Path(sys.argv[sys.argv.index('--out') + 1])
out.write_text(json.dumps({'top1': Config.fromfile(sys.argv[1]).test_dataloader.value}))
"""


@pytest.fixture
def runner(tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    (tools / 'train.py').write_text(TRAIN)
    (tools / 'test.py').write_text(TEST)
    (tmp_path / 'config.py').write_text(CONFIG)
    (tmp_path / 'w.pth').write_bytes(b'weights')
    lines = []
    made = CellRunner(
        tmp_path / 'results', tmp_path / 'work', tools, None, 'top1', say=lines.append
    )
    return made, lines


def make_cell(folder, arm='st', seed=0, **options):
    config = str(folder / 'config.py')
    return Cell(
        'grid', arm, seed, config, options, str(folder / 'w.pth'), 20, 2, 1000, stimulated=1.0
    )


def calls(runner, cell):
    file = runner.work_dirs / cell.name / 'calls'
    return file.read_text().splitlines() if file.exists() else []


def test_a_cell_is_trained_and_tested_once(runner, tmp_path):
    runner, lines = runner
    cell = make_cell(tmp_path, seed=3)
    assert run_cells(runner, [cell]) == []
    result = read_result(tmp_path / 'results' / 'st-3.json')
    assert result['metrics'] == {'top1': 40.0}
    assert result['validation'][:2] == [[2, 12.0], [4, 14.0]]
    assert len(result['validation']) == 10
    assert result['losses']['loss'][0] == [1, 1.0]
    assert result['losses']['loss'][-1] == [20, 0.05]
    assert result['passes'] == 1.5  # half of the subnets cost 0.25, half 0.75
    assert result['flops'] == 3 * 1000 * 2 * 20 * 1.5
    assert result['seconds'] == 10.0
    assert result['environment']['versions']['mmst']
    assert result['sha256']['weights'] == hashlib.sha256(b'weights').hexdigest()
    text = cell_config(cell, None).pretty_text.encode()
    assert result['sha256']['config'] == hashlib.sha256(text).hexdigest()
    assert 'cpu' in result['environment']['device']

    assert run_cells(runner, [cell]) == []
    (call,) = calls(runner, cell)
    work_dir = runner.work_dirs / 'st-3'
    config, weights = work_dir / 'configs' / 'cell.py', tmp_path / 'w.pth'
    assert call == f'{config} --work-dir {work_dir} --seed 3 --resume --weights {weights}'
    assert lines[-1] == 'st-3: finished'


def test_its_config_is_validated_and_saved_ten_times(runner, tmp_path):
    runner, _ = runner
    run_cells(runner, [make_cell(tmp_path, act='gently')])
    text = (runner.work_dirs / 'st-0' / 'configs' / 'cell.py').read_text()
    cfg = {}
    exec(text, cfg)
    assert cfg['act'] == 'gently'
    assert cfg['train_cfg'] == {'type': 'IterBasedTrainLoop', 'max_iters': 20, 'val_interval': 2}
    assert cfg['default_hooks']['checkpoint']['interval'] == 2


def test_a_failure_stops_no_other_cell_and_is_resumed(runner, tmp_path):
    runner, lines = runner
    bad, good = make_cell(tmp_path, 'bad', act='badly'), make_cell(tmp_path, 'good')
    assert run_cells(runner, [bad, good]) == [bad]
    assert not runner.result_file(bad).exists()
    assert runner.result_file(good).exists()
    assert any(line.startswith('bad-0: failed, ') for line in lines)
    assert 'out of luck' in (runner.work_dirs / 'bad-0' / 'train.log').read_text()

    assert run_cells(runner, [bad, good]) == []
    assert len(calls(runner, bad)) == 2
    assert len(calls(runner, good)) == 1
    result = read_result(runner.result_file(bad))
    # Lines 4 and 5 of the first run were repeated by the second, and count once.
    assert result['passes'] == 1.5
    assert len(result['validation']) == 10


def test_a_last_validation_that_was_killed_is_made_up_for(runner, tmp_path):
    runner, _ = runner
    cell = make_cell(tmp_path, act='to the end')
    assert run_cells(runner, [cell]) == []
    result = read_result(runner.result_file(cell))
    assert result['metrics'] == {'top1': 40.0}
    assert result['validation'][-2:] == [[18, 28.0], [20, 30.0]]


def test_an_unknown_metric_is_a_failure_that_names_the_known(runner, tmp_path):
    runner, lines = runner
    cell = make_cell(tmp_path)
    assert run_cells(dataclasses.replace(runner, metric='mAP'), [cell]) == [cell]
    assert "metric must be one of ['top1'] that cell.py has, got 'mAP'" in lines[-1]


def test_cells_run_side_by_side(runner, tmp_path):
    runner, _ = runner
    cells = [make_cell(tmp_path, arm) for arm in ('a', 'b', 'c')]
    assert run_cells(runner, cells, jobs=2) == []
    assert sorted(file.name for file in runner.results.iterdir()) == [
        'a-0.json',
        'b-0.json',
        'c-0.json',
    ]
    with pytest.raises(ValueError, match='--jobs must be at least 1, got 0'):
        run_cells(runner, cells, jobs=0)


def test_a_result_of_other_settings_is_refused_by_name(runner, tmp_path):
    runner, _ = runner
    run_cells(runner, [make_cell(tmp_path)])
    with pytest.raises(ValueError, match=r"options was \{\}, is \{'act': 'gently'\}; delete it"):
        run_cells(runner, [make_cell(tmp_path, act='gently')])


def test_an_interrupted_cell_does_not_go_on_with_another_config(runner, tmp_path):
    runner, lines = runner
    cell = make_cell(tmp_path, act='badly')
    assert run_cells(runner, [cell]) == [cell]
    (tmp_path / 'config.py').write_text(CONFIG + 'lr = 0.1\n')
    assert run_cells(runner, [cell]) == [cell]
    assert 'an interrupted cell must go on with the config it began with' in lines[-1]
    assert len(calls(runner, cell)) == 1


def test_a_damaged_result_is_refused(runner, tmp_path):
    runner, _ = runner
    cell = make_cell(tmp_path)
    run_cells(runner, [cell])
    file = runner.result_file(cell)
    file.write_text(file.read_text()[:100])
    with pytest.raises(ValueError, match=r'st-0\.json must be .* is damaged'):
        run_cells(runner, [cell])


def test_a_cell_of_another_runner_is_left_to_it(runner, tmp_path):
    runner, lines = runner
    cell = make_cell(tmp_path)
    work_dir = runner.work_dirs / cell.name
    work_dir.mkdir(parents=True)
    with open(work_dir / 'lock', 'w') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert run_cells(runner, [cell]) == []
        assert lines == ['st-0: another runner works on it']
    assert not calls(runner, cell)
    assert run_cells(runner, [cell]) == []
    assert runner.result_file(cell).exists()


RUN = """
import sys
from pathlib import Path
from mmst.benchmark import Cell, CellRunner, run_cells
folder = Path(sys.argv[1])
runner = CellRunner(folder / 'results', folder / 'work', folder / 'tools', None, 'top1')
cell = Cell('grid', 'st', 0, str(folder / 'config.py'), {'act': 'slowly'}, None, 20, 2, 1000, 1.0)
run_cells(runner, [cell])
"""


def test_the_training_of_a_killed_runner_keeps_its_cell(runner, tmp_path):
    runner, lines = runner
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, '-c', RUN, str(tmp_path)], env=environment)
    work_dir = runner.work_dirs / 'st-0'
    deadline = time.monotonic() + 300
    while not (work_dir / 'started').exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    training = [int(child) for thread in _threads(children) for child in thread.read_text().split()]
    process.kill()
    process.wait()
    assert len(training) == 1
    cell = make_cell(tmp_path, act='slowly')
    try:
        run_cells(runner, [cell])
        assert lines == ['st-0: another runner works on it']
    finally:
        os.kill(training[0], signal.SIGKILL)
    assert not runner.result_file(cell).exists()
    assert json.loads((work_dir / 'run0/vis_data/scalars.json').read_text())['step'] == 1


def _threads(children):
    return children.parents[1].glob('*/children')
