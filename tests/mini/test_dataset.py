"""A mini data set is made once, completely or not at all, and always the same."""

import hashlib
import runpy
import sys
from pathlib import Path

import pytest

from mmst.mini import dataset, make_mini_data

TOOL = Path(__file__).parents[2] / 'tools' / 'make_mini_data.py'


def make(root, **changes):
    return make_mini_data('coco', root, **{'num_train': 2, 'num_val': 1, **changes})


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob('*')
        if path.is_file()
    }


@pytest.fixture
def written(monkeypatch):
    """Counts the writer's calls."""
    calls = []

    def write(root, splits):
        calls.append(root)
        dataset.write_coco(root, splits)

    monkeypatch.setitem(dataset.LAYOUTS, 'coco', write)
    return calls


def test_same_arguments_give_the_same_bytes(tmp_path):
    first, second = digests(make(tmp_path / 'a')), digests(make(tmp_path / 'b'))
    assert len(first) == 6
    assert first == second


def test_another_seed_gives_other_pictures(tmp_path):
    first, second = digests(make(tmp_path / 'a')), digests(make(tmp_path / 'b', seed=1))
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first if name.endswith('.jpg'))


def test_a_larger_set_contains_the_smaller_one(tmp_path):
    small, large = digests(make(tmp_path / 'a')), digests(make(tmp_path / 'b', num_train=3))
    pictures = {name for name in small if name.endswith('.jpg')}
    assert len(pictures) == 3
    assert {name: large[name] for name in pictures} == {name: small[name] for name in pictures}


def test_a_second_call_writes_nothing(tmp_path, written):
    root = make(tmp_path / 'new' / 'coco')
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    assert make(root) == root
    assert len(written) == 1
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before


@pytest.mark.parametrize('changes', [dict(seed=1), dict(num_train=3), dict(force=True)])
def test_other_arguments_replace_the_data(tmp_path, written, changes):
    make(make(tmp_path / 'coco'), **changes)
    assert len(written) == 2
    assert digests(tmp_path / 'coco') == digests(make(tmp_path / 'other', **changes))


def test_a_newer_generator_replaces_the_data(tmp_path, written, monkeypatch):
    make(tmp_path / 'coco')
    monkeypatch.setattr(dataset, 'GENERATOR_VERSION', dataset.GENERATOR_VERSION + 1)
    make(tmp_path / 'coco')
    assert len(written) == 2


def test_damaged_data_are_made_again(tmp_path, written):
    before = digests(make(tmp_path / 'coco'))
    (tmp_path / 'coco/train2017/000000000002.jpg').unlink()
    assert digests(make(tmp_path / 'coco')) == before
    assert len(written) == 2


def test_an_interruption_leaves_the_old_data_and_nothing_else(tmp_path, monkeypatch):
    before = digests(make(tmp_path / 'coco'))

    def interrupted(root, splits):
        (root / 'half').mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(dataset.LAYOUTS, 'coco', interrupted)
        make(tmp_path / 'coco', seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ['coco']
    assert digests(tmp_path / 'coco') == before
    assert digests(make(tmp_path / 'coco', seed=1)) != before


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_a_failed_replacement_puts_the_old_data_back(tmp_path, monkeypatch, error):
    before = digests(make(tmp_path / 'coco'))
    rename = dataset.Path.rename

    def failing(path, target):
        if 'partial' in path.name:
            raise error
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(dataset.Path, 'rename', failing)
        make(tmp_path / 'coco', seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ['coco']
    assert digests(tmp_path / 'coco') == before


@pytest.mark.parametrize('by_a_hair', [False, True])
def test_a_faster_process_wins(tmp_path, monkeypatch, by_a_hair):
    root, inodes = tmp_path / 'coco', []

    def overtaken(partial, splits):
        dataset.write_coco(partial, splits)
        with monkeypatch.context() as patch:
            patch.setitem(dataset.LAYOUTS, 'coco', dataset.write_coco)
            patch.setattr(dataset.os, 'getpid', lambda: -1)
            make(root)
        inodes.append(root.stat().st_ino)
        if by_a_hair:  # looked for before it was there
            complete = iter([False, True])
            monkeypatch.setattr(dataset, '_is_complete', lambda *_: next(complete))
            monkeypatch.setattr(dataset.Path, 'exists', lambda path: False)

    monkeypatch.setitem(dataset.LAYOUTS, 'coco', overtaken)
    make(root)
    assert inodes == [root.stat().st_ino]
    assert [path.name for path in tmp_path.iterdir()] == ['coco']
    assert len(digests(root)) == 6


def test_foreign_files_are_never_replaced(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='not mini data.*choose another root'):
        make(tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_an_empty_folder_may_be_filled(tmp_path):
    assert len(digests(make(tmp_path))) == 6


def test_wrong_arguments_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"layout must be one of \['coco'.*got 'voc'"):
        make_mini_data('voc', tmp_path / 'x')
    with pytest.raises(ValueError, match='num_train must be at least 1, got 0'):
        make(tmp_path / 'x', num_train=0)
    with pytest.raises(ValueError, match='num_val must be at least 1, got -1'):
        make(tmp_path / 'x', num_val=-1)
    with pytest.raises(ValueError, match='seed must not be negative, got -3'):
        make(tmp_path / 'x', seed=-3)
    assert not (tmp_path / 'x').exists()


@pytest.fixture
def run_tool(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')

    return run


def test_the_tool_says_where_the_data_are(tmp_path, run_tool, capsys):
    run_tool('--root', tmp_path / 'coco', '--num-train', 2, '--num-val', 1)
    assert capsys.readouterr().out == f'coco mini data: {tmp_path / "coco"}\n'
    assert len(digests(tmp_path / 'coco')) == 6


def test_the_tool_says_what_is_wrong_in_one_line(tmp_path, run_tool, monkeypatch):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(SystemExit, match='^ValueError: num_train must be at least 1, got 0$'):
        run_tool('--root', tmp_path / 'x', '--num-train', 0)
    with pytest.raises(SystemExit, match='^FileExistsError: .* holds files'):
        run_tool('--root', tmp_path)
    monkeypatch.setitem(sys.modules, 'mmst.mini', None)
    with pytest.raises(SystemExit, match='^ModuleNotFoundError: .*mmst.mini'):
        run_tool('--root', tmp_path / 'x')
