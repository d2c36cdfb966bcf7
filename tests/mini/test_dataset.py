"""A mini data set is made once, completely or not at all, and always the same."""

import dataclasses
import hashlib
import runpy
import sys
from pathlib import Path

import pytest

from mmst.mini import dataset, make_mini_data

TOOL = Path(__file__).parents[2] / 'tools' / 'make_mini_data.py'


LAYOUTS = sorted(dataset.LAYOUTS)
WRITE_COCO = dataset.LAYOUTS['coco'].write


def make(root, layout='coco', **changes):
    return make_mini_data(layout, root, **{'num_train': 2, 'num_val': 1, **changes})


def replace_layout(patch, layout='coco', **changes):
    """Lets some functions of a layout be others."""
    changed = dataclasses.replace(dataset.LAYOUTS[layout], **changes)
    patch.setitem(dataset.LAYOUTS, layout, changed)


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
        WRITE_COCO(root, splits)

    replace_layout(monkeypatch, write=write)
    return calls


NUM_IMAGES = dict.fromkeys(LAYOUTS, 3) | {'coco_panoptic': 6, 'cityscapes': 6}  # with maps
PICTURES = ('.jpg', '.png', '.JPEG')


@pytest.mark.parametrize('layout', LAYOUTS)
def test_same_arguments_give_the_same_bytes(tmp_path, layout):
    first, second = digests(make(tmp_path / 'a', layout)), digests(make(tmp_path / 'b', layout))
    assert len([name for name in first if name.endswith(PICTURES)]) == NUM_IMAGES[layout]
    assert first == second


@pytest.mark.parametrize('layout', LAYOUTS)
def test_another_seed_gives_other_pictures(tmp_path, layout):
    first = digests(make(tmp_path / 'a', layout))
    second = digests(make(tmp_path / 'b', layout, seed=1))
    assert first.keys() == second.keys()
    pictures = {name for name in first if name.endswith(PICTURES)}
    assert len(pictures) == NUM_IMAGES[layout]
    assert all(first[name] != second[name] for name in pictures)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_a_larger_set_contains_the_smaller_one(tmp_path, layout):
    small = digests(make(tmp_path / 'a', layout))
    large = digests(make(tmp_path / 'b', layout, num_train=3))
    pictures = {name for name in small if name.endswith(PICTURES)}
    assert len(pictures) == NUM_IMAGES[layout]
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
        replace_layout(patch, write=interrupted)
        make(tmp_path / 'coco', seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ['coco']
    assert digests(tmp_path / 'coco') == before
    assert digests(make(tmp_path / 'coco', seed=1)) != before


@pytest.mark.parametrize('layout', LAYOUTS)
def test_an_interruption_between_two_pictures_leaves_nothing(tmp_path, monkeypatch, layout):
    scene, seen = dataset.LAYOUTS[layout].make_scene((0, 0, 0)), []

    def interrupted(seed):
        if len(seen) == 2:  # with the train split complete
            raise KeyboardInterrupt
        seen.append(seed)
        return scene

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        replace_layout(patch, layout, make_scene=interrupted)
        make(tmp_path / 'data', layout)
    assert seen == [(0, 0, 0), (0, 0, 1)]
    assert list(tmp_path.iterdir()) == []


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
        WRITE_COCO(partial, splits)
        with monkeypatch.context() as patch:
            replace_layout(patch, write=WRITE_COCO)
            patch.setattr(dataset.os, 'getpid', lambda: -1)
            make(root)
        inodes.append(root.stat().st_ino)
        if by_a_hair:  # looked for before it was there
            complete = iter([False, True])
            monkeypatch.setattr(dataset, '_is_complete', lambda *_: next(complete))
            monkeypatch.setattr(dataset.Path, 'exists', lambda path: False)

    replace_layout(monkeypatch, write=overtaken)
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
    with pytest.raises(ValueError, match=r"layout must be one of \['cifar10', .*'coco'.*'voc'"):
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
