"""`make setup` repeats nothing, survives being killed, and says what a machine lacks."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def setup_env(tmp_path, monkeypatch):
    """The set-up script, looking at a finished environment of an imaginary clone."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    spec = importlib.util.spec_from_file_location('setup_env', ROOT / 'tools' / 'setup_env.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'VENV', tmp_path / '.venv')
    monkeypatch.setattr(module, 'STATE', tmp_path / '.venv' / 'state')
    monkeypatch.setattr(module, 'LOG', module.STATE / 'log.txt')
    monkeypatch.setattr(module, 'TEMP', module.STATE)
    monkeypatch.setattr(module, 'CHANGING', module.STATE / 'changing')
    monkeypatch.setattr(module, 'PYTHON', Path(sys.executable))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    module.STATE.mkdir(parents=True)
    for step, stamp in module.remaining().items():
        (module.STATE / step.__name__).write_text(stamp)
    return module


ALL = ['make_venv', 'install_packages', 'install_mmcv', 'install_mmst']


def names(steps) -> list[str]:
    """Return what the steps are called."""
    return [step.__name__ for step in steps]


def test_a_finished_environment_leaves_nothing_to_do(setup_env):
    assert not setup_env.remaining()


@pytest.mark.parametrize(('argument', 'status'), [('--help', 0), ('--cuda', 2)])
def test_an_argument_starts_no_setup(setup_env, monkeypatch, argument, status):
    begun = []
    monkeypatch.setattr(setup_env, 'remaining', lambda: begun.append(argument) or {})
    monkeypatch.setattr(sys, 'argv', ['setup_env.py', argument])
    with pytest.raises(SystemExit) as error:
        setup_env.main()
    assert error.value.code == status
    assert not begun


def test_changed_requirements_redo_what_was_built_on_them(setup_env, tmp_path, monkeypatch):
    changed = tmp_path / 'lock.txt'
    changed.write_text('torch==2.12.0\n')
    monkeypatch.setitem(setup_env.STEPS, setup_env.install_packages, ([changed], 0.0))
    assert names(setup_env.remaining()) == ALL[1:]


def test_an_unfinished_step_is_redone(setup_env):
    (setup_env.STATE / 'install_mmcv').unlink()
    assert names(setup_env.remaining()) == ALL[2:]


def test_a_killed_pip_leads_to_a_new_environment(setup_env):
    setup_env.CHANGING.touch()
    assert names(setup_env.remaining()) == ALL


def test_a_moved_clone_gets_a_new_environment(setup_env, tmp_path, monkeypatch):
    monkeypatch.setattr(setup_env, 'ROOT', tmp_path)
    assert names(setup_env.remaining()) == ALL


@pytest.mark.parametrize(
    ('output', 'stays'), [('Collecting torch', False), ('Installing collected packages: a', True)]
)
def test_only_a_begun_installation_spoils_the_environment(setup_env, monkeypatch, output, stays):
    failing = [sys.executable, '-c', f'print({output!r}); raise SystemExit(1)']
    run = setup_env.run
    monkeypatch.setattr(setup_env, 'run', lambda title, command: run(title, failing))
    with pytest.raises(setup_env.CommandError, match='packages failed'):
        setup_env.pip('packages')
    assert setup_env.CHANGING.exists() == stays


def test_a_wheel_is_kept_apart_by_torch_python_and_gpu(setup_env, monkeypatch):
    folders = [setup_env.wheel_folder('2.11.0'), setup_env.wheel_folder('2.11.0+cu130')]
    monkeypatch.setattr(setup_env, 'with_cuda', lambda: True)
    folders.append(setup_env.wheel_folder('2.11.0'))
    monkeypatch.setattr(setup_env, 'sys', SimpleNamespace(version_info=(3, 10, 0)))
    folders.append(setup_env.wheel_folder('2.11.0'))
    assert len(set(folders)) == len(folders)


def test_a_cached_wheel_is_found_before_torch_is_installed(setup_env):
    assert setup_env.cached_wheel('2.11.0*') is None
    wheel = setup_env.wheel_folder('2.11.0+cu130') / 'mmcv.whl'
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    assert setup_env.cached_wheel('2.11.0*') == wheel
    assert setup_env.cached_wheel('2.12.0*') is None


@pytest.mark.parametrize('version', [(2, 7, 18), (3, 9, 18), (3, 13, 0)])
def test_a_python_without_packages_is_refused(setup_env, version):
    found = '.'.join(map(str, version))
    with pytest.raises(setup_env.SetupError, match=f'3.10, 3.11 or 3.12, found {found}.*PYTHON='):
        setup_env.check_python(version)


def test_a_python_without_ensurepip_is_refused(setup_env, monkeypatch):
    monkeypatch.setattr('setup_checks.importlib.util.find_spec', lambda name: name != 'ensurepip')
    with pytest.raises(setup_env.SetupError, match='`ensurepip`.*python3-venv'):
        setup_env.check_python((3, 11, 0))


def test_a_full_disk_is_refused(setup_env, monkeypatch):
    usage = SimpleNamespace(free=3 * 2**30)
    monkeypatch.setattr('setup_checks.shutil.disk_usage', lambda path: usage)
    setup_env.check_disk(ROOT, 2.9)
    with pytest.raises(setup_env.SetupError, match='need about 8.1 GiB.* has 3.0 GiB'):
        setup_env.check_disk(ROOT, 8.1)


def test_a_missing_compiler_is_refused(setup_env, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler -v')
    with pytest.raises(setup_env.SetupError, match='`no-such-compiler` is not on PATH.*g\\+\\+'):
        setup_env.check_compiler()


def test_missing_python_headers_are_refused(setup_env, monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', sys.executable)
    monkeypatch.setattr('setup_checks.sysconfig.get_paths', lambda: {'include': str(tmp_path)})
    with pytest.raises(setup_env.SetupError, match='Python.h does not exist.*python3-dev'):
        setup_env.check_compiler()


def test_an_environment_of_another_make_is_left_alone(setup_env, tmp_path, monkeypatch):
    monkeypatch.setattr(setup_env, 'STATE', tmp_path / 'absent')
    with pytest.raises(setup_env.SetupError, match='must be made by `make setup`'):
        setup_env.check_venv()


def test_another_python_than_that_of_the_environment_is_refused(setup_env, monkeypatch):
    (setup_env.VENV / 'pyvenv.cfg').write_text('version = 3.2.6\n')
    setup_env.check_venv()
    monkeypatch.setenv('PYTHON', 'python3')
    with pytest.raises(setup_env.SetupError, match=r'made with Python 3\.2.*PYTHON asks for 3'):
        setup_env.check_venv()


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        ("OSError: [Errno 28] No space left on device: 'x'", 'the disk is full'),
        ("Retrying after connection broken by 'NewConnectionError(", 'cannot reach the package'),
        ('g++: fatal error: Killed signal terminated program cc1plus', 'MAX_JOBS=1'),
        ('ERROR: something new', 'last words were\n  ERROR: something new'),
    ],
)
def test_a_failed_command_is_explained(setup_env, output, message):
    assert message in setup_env.likely_cause(output)


def test_progress_of_a_build_gives_the_time_left(setup_env):
    output = '  [1/77] c++ -c a.cpp\n  [11/77] c++ -c b.cpp [9/9]\n'
    assert setup_env.progress(output, elapsed=60) == '11 of 77 files, about 6:00 left'
    assert setup_env.progress('Collecting torch\n', elapsed=1) == 'Collecting torch'
    assert setup_env.progress('', elapsed=1) == ''


@pytest.mark.parametrize('script', ['setup_env.py', 'setup_checks.py'])
def test_a_too_old_python_can_at_least_parse_the_script(script):
    ast.parse((ROOT / 'tools' / script).read_text(), feature_version=(3, 6))


def test_two_set_ups_of_one_clone_wait_for_each_other(setup_env):
    waiter = (
        'import fcntl, sys; lock = open(sys.argv[1]); '
        'fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)'
    )
    command = [sys.executable, '-c', waiter, f'{setup_env.VENV}.lock']
    with setup_env.alone():
        assert subprocess.run(command, check=False, capture_output=True).returncode
        outliving = subprocess.Popen(['sleep', '60'], close_fds=False)
    try:
        assert subprocess.run(command, check=False, capture_output=True).returncode
    finally:
        outliving.kill()
        outliving.wait()
    assert not subprocess.run(command, check=False, capture_output=True).returncode
