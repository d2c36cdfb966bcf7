"""Promises of an installation: few requirements, complete pins, no ignored file of ours."""

import re
import shutil
import subprocess
import sys
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TASK_LIBRARIES = {'cls': 'mmpretrain', 'det': 'mmdet', 'seg': 'mmsegmentation'}


def name_of(requirement: str) -> str:
    """Return the package a requirement line names, normalised."""
    return re.match(r'[\w.-]+', requirement).group().lower().replace('_', '-')


@pytest.fixture(scope='module')
def metadata(tmp_path_factory):
    """Return what pip would read of mmst, built away from the working tree."""
    copy = tmp_path_factory.mktemp('source')
    for name in ('setup.py', 'pyproject.toml', 'LICENSE', 'README.md'):
        shutil.copy(ROOT / name, copy)
    for name in ('requirements', 'mmst'):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    build = "from setuptools.build_meta import *; print(prepare_metadata_for_build_wheel('.'))"
    subprocess.run([sys.executable, '-c', build], cwd=copy, check=True, capture_output=True)
    (folder,) = copy.glob('*.dist-info')
    message = Parser().parsestr((folder / 'METADATA').read_text())
    top_level = (folder / 'top_level.txt').read_text().split()
    return message, top_level


def extra(message, name: str) -> set[str]:
    """Return the packages that an extra adds."""
    wanted = re.compile(rf'extra == .{name}\b')
    return {name_of(line) for line in message.get_all('Requires-Dist') if wanted.search(line)}


def pins() -> list[str]:
    """Return the lines of the lock file without comments."""
    lines = (ROOT / 'requirements' / 'lock.txt').read_text().splitlines()
    return [line for line in lines if not line.startswith('#')]


def test_torch_and_mmengine_are_the_only_hard_requirements(metadata):
    message, _ = metadata
    hard = [line for line in message.get_all('Requires-Dist') if 'extra ==' not in line]
    assert sorted(map(name_of, hard)) == ['mmengine', 'torch']


def test_only_mmst_is_installed(metadata):
    assert metadata[1] == ['mmst']


def test_every_folder_of_mmst_is_a_package():
    folders = {path.parent for path in (ROOT / 'mmst').rglob('*.py')}
    assert len(folders) > 1
    assert [folder for folder in folders if not (folder / '__init__.py').exists()] == []


def test_every_file_of_mmst_that_is_no_module_is_package_data():
    others = [path for path in (ROOT / 'mmst').rglob('*.*') if path.suffix not in ('.py', '.pyc')]
    names = {path.relative_to(ROOT / 'mmst').as_posix() for path in others}
    (data,) = re.findall(r"package_data=\{'mmst': \[(.*)\]\}", (ROOT / 'setup.py').read_text())
    assert names == set(re.findall(r"'([^']+)'", data))
    manifest = (ROOT / 'MANIFEST.in').read_text()
    assert [name for name in names if f'mmst/{name}' not in manifest] == []


@pytest.mark.parametrize(('name', 'library'), TASK_LIBRARIES.items())
def test_an_extra_brings_its_task_library_and_no_other(metadata, name, library):
    brought = extra(metadata[0], name)
    assert brought & set(TASK_LIBRARIES.values()) == {library}


@pytest.mark.parametrize('name', ['cls', 'det', 'seg', 'pose', 'all', 'dev'])
def test_no_extra_holds_a_package_that_pip_cannot_install_unaided(metadata, name):
    brought = extra(metadata[0], name)
    assert brought, f'extra {name} is empty'
    assert not brought & {'mmcv', 'mmpose', 'chumpy'}


def test_extra_all_is_the_sum_of_the_task_extras(metadata):
    message, _ = metadata
    parts = set.union(*(extra(message, name) for name in ('cls', 'det', 'seg', 'pose')))
    assert extra(message, 'all') == parts


def test_extra_pose_covers_what_mmpose_declares(metadata):
    from importlib.metadata import PackageNotFoundError, requires

    try:
        declared = requires('mmpose')
    except PackageNotFoundError:
        pytest.skip('mmpose is not installed')
    needed = {name_of(line) for line in declared if 'extra ==' not in line}
    assert needed - extra(metadata[0], 'pose') == {'chumpy'}


def test_every_pin_is_one_exact_public_version():
    assert pins()
    for line in pins():
        assert re.fullmatch(r'[a-z0-9-]+==[\w.]+(; python_version (<|>=) "3\.11")?', line), line


def test_pins_leave_the_platform_to_torch():
    assert not [line for line in pins() if re.match(r'nvidia|cuda|triton', line)]


def test_every_requirement_is_pinned():
    pinned = {name_of(line) for line in pins()}
    files = [path for path in (ROOT / 'requirements').glob('*.txt') if path.name != 'lock.txt']
    lines = [line for path in files for line in path.read_text().splitlines()]
    named = {name_of(line) for line in lines if line and line[0] not in '#-'}
    assert named
    assert named <= pinned


def test_git_ignores_what_runs_write_but_no_package_of_ours():
    def ignored(path: str) -> bool:
        command = ['git', 'check-ignore', '--quiet', '--no-index', path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    if not (ROOT / '.git').exists():
        pytest.skip('not a git checkout')
    assert ignored('checkpoints/resnet50_st.pth')
    assert ignored('work_dirs/demo/last_checkpoint')
    assert ignored('.venv/bin/python')
    assert not ignored('mmst/checkpoints/convert.py')
    assert not ignored('tests/data/sample.json')


def test_make_alone_lists_every_target():
    listed = subprocess.run(['make'], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    declared = re.search(r'^\.PHONY: (.+)$', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    assert re.findall(r'^make ([\w-]+)', listed, re.MULTILINE) == declared.group(1).split()
