"""The demo trains again each time, removes only what it made, and says what went wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / 'tools' / 'demo.py'


def run(*arguments):
    command = [sys.executable, str(DEMO), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_other_files_in_the_work_dir_are_kept(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    result = run('--work-dir', tmp_path)
    assert result.returncode == 1
    assert 'holds files that the demo did not make' in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


@pytest.mark.slow
def test_a_failed_training_is_an_error_and_leaves_nothing_stale(tmp_path):
    (tmp_path / 'demo.json').write_text('{"finished": true}')
    (tmp_path / 'detections.png').write_text('of an earlier demo')
    result = run('--work-dir', tmp_path, '--config', tmp_path / 'absent.py')
    assert result.returncode == 1
    assert 'the training ended with exit status' in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['demo.json']
    assert json.loads((tmp_path / 'demo.json').read_text())['finished'] is False


def test_an_unfinished_demo_is_not_reported(tmp_path):
    (tmp_path / 'demo.json').write_text('{"finished": false}')
    result = run('--work-dir', tmp_path, '--report')
    assert result.returncode == 1
    assert 'holds no finished demo; run it without --report' in result.stderr


def test_the_training_is_seeded(tmp_path, run_tool, monkeypatch):
    commands = []

    def record(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, returncode=1)

    monkeypatch.setattr(subprocess, 'run', record)
    with pytest.raises(SystemExit, match='the training ended with exit status 1'):
        run_tool('demo', '--work-dir', tmp_path / 'run')
    assert len(commands) == 1
    assert commands[0][commands[0].index('--seed') + 1] == '0'


@pytest.mark.parametrize('error', [ImportError, ValueError])
def test_what_is_wrong_is_said_in_one_line(tmp_path, run_tool, monkeypatch, error):
    def failing(_):
        raise error('one line')

    (tmp_path / 'demo.json').write_text('{"finished": true}')
    monkeypatch.setattr('mmst.cli.demo.read_run_log', failing)
    with pytest.raises(SystemExit, match=f'^{error.__name__}: one line$'):
        run_tool('demo', '--work-dir', tmp_path, '--report')
