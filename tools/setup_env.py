"""Make `.venv`: the pinned, tested stack, mmcv built from source, and mmst itself.

`make setup` runs this on a bare machine: standard library only, and no syntax younger than
Python 3.6, so that a Python too old for the stack still gets to say so.

The work is four steps. A finished step leaves a stamp, a hash of the files it was made from and
of the steps before it; a step whose stamp fits is skipped, so a second run does nothing.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import select
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from setup_checks import SetupError, check_compiler, check_disk, check_python

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STATE = VENV / 'mmst-setup'
LOG = STATE / 'log.txt'
TEMP = STATE / 'tmp'
CHANGING = STATE / 'changing'
REQUIREMENTS = ROOT / 'requirements'
LOCK = REQUIREMENTS / 'lock.txt'


class CommandError(SetupError):
    """A command failed; `output` is the end of what it printed."""

    def __init__(self, title, output):
        super().__init__(f'{title} failed: {likely_cause(output)}\nThe whole log: {LOG}')
        self.output = output


def check_venv():
    """Refuse a .venv of another make, and one of another Python than PYTHON asks for."""
    if not STATE.exists():
        if VENV.exists() and os.listdir(str(VENV)):
            raise SetupError(
                f'{VENV} must be made by `make setup`, and this one was not. Use it without make '
                '(docs/install.md), or move it away: mv .venv my-venv'
            )
        return
    made = re.search(r'version\s*=\s*(\d+\.\d+)', read(VENV / 'pyvenv.cfg'))
    asked = '{}.{}'.format(*sys.version_info)
    if os.environ.get('PYTHON') and made and made.group(1) != asked:
        raise SetupError(
            f'.venv was made with Python {made.group(1)}, and PYTHON asks for {asked}. '
            'To make it again: rm -rf .venv, then the same command'
        )


# -------------------------------------------------------------------------- running commands


CAUSES = {
    'No space left on device': 'the disk is full. Make room',
    'NewConnectionError|NameResolution|[Tt]imed? ?out|ProxyError|[Cc]onnection broken': (
        'pip cannot reach the package index. Check the network, the proxy and `pip config list`'
    ),
    'Killed signal terminated': 'the compiler ran out of memory. Set MAX_JOBS=1',
}


def likely_cause(output):
    """Say why a command failed, from the end of what it printed."""
    for pattern, cause in CAUSES.items():
        if re.search(pattern, output):
            return f'{cause}, then give the same command again'
    return 'its last words were\n  ' + '\n  '.join(output.strip().splitlines()[-12:])


def clock(seconds):
    """Format a duration, e.g. 2:05."""
    return '{}:{:02d}'.format(*divmod(int(seconds), 60))


def progress(output, elapsed):
    """Condense what a command has printed so far into a few words."""
    counts = re.findall(r'^\s*\[(\d+)/(\d+)\]', output, re.MULTILINE)
    if not counts:
        return (output.strip().splitlines() or [''])[-1].strip()[:60]
    done, total = map(int, counts[-1])
    return f'{done} of {total} files, about {clock(elapsed * (total - done) / done)} left'


def show(text, stays=True):
    """Print a line; on a terminal, one that does not stay is overwritten by the next."""
    if sys.stdout.isatty():
        print('\r\033[K' + text, end='\n' if stays else '', flush=True)
    else:
        print(text, flush=True)


def run(title, command, **environment):
    """Run a command: its output goes to the log, its progress to one line."""
    environment = dict(os.environ, TMPDIR=str(TEMP), **environment)
    interval = 1 if sys.stdout.isatty() else 30
    begin = shown = time.time()
    tail = ''
    process = subprocess.Popen(
        [str(word) for word in command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # it inherits the lock
    )
    with process, LOG.open('ab', buffering=0) as log:
        while True:
            if select.select([process.stdout], [], [], 1)[0]:
                chunk = os.read(process.stdout.fileno(), 2**16)
                if not chunk:
                    break
                log.write(chunk)
                tail = (tail + chunk.decode(errors='replace'))[-20000:]
            if time.time() - shown >= interval:
                shown = time.time()
                text = progress(tail, shown - begin)
                show(f'  {title}  {clock(shown - begin)}  {text}', stays=False)
    if process.returncode:
        raise CommandError(title, tail)
    show(f'  {title}  {clock(time.time() - begin)}  done')


def pip(title, *arguments):
    """Run `pip install` in .venv under the lock file's pins."""
    command = [PYTHON, '-m', 'pip', 'install', '--progress-bar', 'off', '--constraint', LOCK]
    CHANGING.touch()
    try:
        run(title, command + list(arguments))
    except CommandError as error:
        if 'Installing collected packages' in error.output:
            raise  # half an installation: CHANGING stays, and the next run makes .venv again
        CHANGING.unlink()
        raise
    CHANGING.unlink()


# -------------------------------------------------------------------------------------- mmcv


def pinned(package):
    """Look a package's version up in the lock file."""
    return re.search(rf'^{package}==([^;\s]+)', read(LOCK), re.MULTILINE).group(1)


def with_cuda():
    """Tells whether mmcv can be compiled for a GPU: both its driver and its compiler are here."""
    home = os.environ.get('CUDA_HOME', '/usr/local/cuda')
    nvcc = shutil.which('nvcc') or shutil.which('nvcc', path=f'{home}/bin')
    return bool(nvcc and shutil.which('nvidia-smi'))


def wheel_folder(torch):
    """Folder of mmcv's wheels for this Python, platform and torch."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    key = 'mmcv-{}_torch-{}_cp{}{}_{}_{}'.format(
        pinned('mmcv'),
        torch,
        *sys.version_info[:2],
        sysconfig.get_platform(),
        'cuda' if with_cuda() else 'cpu',
    )
    return Path(cache, 'mmst', 'wheels', key)


def cached_wheel(torch):
    """Return the cached wheel, or None; `torch` may end in `*`."""
    folder = wheel_folder(torch)
    return next(folder.parent.glob(f'{folder.name}/*.whl'), None)


def jobs():
    """Number of files to compile at a time."""
    return int(os.environ.get('MAX_JOBS') or os.cpu_count())


def build_wheel(torch):
    """Build mmcv against the installed torch and put its wheel into the cache, whole or not at all.

    pip's own cache is left out: it would hand over a wheel built against another torch.
    """
    check_compiler()
    built = tempfile.mkdtemp(dir=str(TEMP))
    command = [PYTHON, '-m', 'pip', 'wheel', '--verbose', '--no-deps', '--no-cache-dir']
    command += ['--no-build-isolation', '--no-binary', 'mmcv']
    run(
        'building mmcv',
        command + ['--wheel-dir', built, 'mmcv==' + pinned('mmcv')],
        MMCV_WITH_OPS='1',
        MAX_JOBS=str(jobs()),
        CFLAGS='-O1 -g0',
        **({'FORCE_CUDA': '1'} if with_cuda() else {'CUDA_VISIBLE_DEVICES': ''}),
    )
    (wheel,) = Path(built).glob('*.whl')
    target = wheel_folder(torch) / wheel.name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f'.{os.getpid()}.partial')
    shutil.copy(str(wheel), str(partial))
    partial.replace(target)


# --------------------------------------------------------------------------------- the steps


def make_venv():
    """Make an empty environment, in place of a broken or half-made one."""
    old = Path(f'{VENV}.old')
    shutil.rmtree(str(old), ignore_errors=True)
    if VENV.exists():
        VENV.rename(old)  # one act, however long the removal takes
        shutil.rmtree(str(old), ignore_errors=True)
    TEMP.mkdir(parents=True)
    # Not sys.executable: that is in the .venv that was just moved, if one was active.
    run('making .venv', [getattr(sys, '_base_executable', sys.executable), '-m', 'venv', VENV])


def install_packages():
    """Install all that pip can install by itself."""
    pip('pip and build tools', 'pip', '-r', REQUIREMENTS / 'build.txt')
    files = [f'-r{REQUIREMENTS / name}.txt' for name in ('runtime', 'build', 'all', 'dev')]
    # Without isolation a package that comes as source finds the build tools, numpy among them.
    pip('packages', '--no-build-isolation', *files)
    pip('mmpose', '--no-deps', '-r', REQUIREMENTS / 'mmpose.txt')


def install_mmcv():
    """Install mmcv from the cache, building it first if need be, and import the whole stack."""
    command = [str(PYTHON), '-c', 'import torch; print(torch.__version__)']
    torch = subprocess.check_output(command, universal_newlines=True).strip()
    if not cached_wheel(torch):
        build_wheel(torch)
    wheel = cached_wheel(torch)
    pip('mmcv', '--no-deps', '--force-reinstall', wheel)
    try:
        run('check', [PYTHON, '-c', 'import mmcv.ops, mmdet, mmpose, mmpretrain, mmseg'])
    except CommandError as error:
        message = f'{error}\nIf mmcv is at fault: rm {wheel}, then make setup'
        raise SetupError(message) from error


def install_mmst():
    """Install mmst in editable mode."""
    pip('mmst', '--no-deps', '--no-build-isolation', '--editable', ROOT)


STEPS = {
    # step: (files it is made from, GiB it takes)
    make_venv: ([], 0.1),
    install_packages: (sorted(REQUIREMENTS.glob('*.txt')), 8.0),
    install_mmcv: ([], 0.5),
    install_mmst: ([ROOT / 'setup.py', ROOT / 'pyproject.toml'], 0.1),
}


def read(path):
    """Return a file's text, empty where there is none."""
    return path.read_text() if path.exists() else ''


def remaining():
    """Map each step still to be done to the text of its stamp."""
    digest = hashlib.sha256(str(ROOT).encode())  # an environment does not survive being moved
    broken = CHANGING.exists() or not PYTHON.exists()
    todo = {}
    for step, (files, _) in STEPS.items():
        digest.update(''.join(map(read, files)).encode())
        if broken or todo or read(STATE / step.__name__) != digest.hexdigest():
            todo[step] = digest.hexdigest()
    return todo


def announce(todo):
    """Say what is about to be done and how long it takes; refuse a machine that cannot do it."""
    check_python(sys.version_info)
    check_disk(ROOT, sum(STEPS[step][1] for step in todo))
    compiling = install_mmcv in todo and not cached_wheel(pinned('torch') + '*')
    if compiling:
        check_compiler()
    show('Setting up {} with Python {}.{}.{}.'.format(VENV, *sys.version_info))
    if install_packages in todo:
        show('The packages are a download of 3 GB: 3 minutes on a fast line.')
    if compiling:
        minutes = 0.5 + 13 / jobs()
        more = ', and longer for the GPU code' if with_cuda() else ''
        show(f'mmcv is compiled, once: about {minutes:.0f} minutes on {jobs()} idle cores{more}.')
    if shutil.which('nvidia-smi') and not with_cuda():
        show('A GPU but no nvcc: mmcv is for the CPU only (docs/install.md, "GPU").')
    show('It can be interrupted: the same command goes on from the last finished step.')


@contextlib.contextmanager
def alone():
    """Keep other set-ups of this clone out.

    Commands inherit the lock: one that outlives a killed set-up keeps the next one waiting.
    """
    with open(f'{VENV}.lock', 'w') as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            show('Another set-up, or a command that a killed one left, is at work. Waiting.')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main():
    """Do the remaining steps."""
    argparse.ArgumentParser(description=__doc__).parse_args()  # --help, and no other argument
    todo = remaining()
    if not todo:
        return
    check_venv()
    if make_venv not in todo and not os.path.samefile(sys.prefix, str(VENV)):
        os.execv(str(PYTHON), [str(PYTHON), *sys.argv])  # so that `sys` describes .venv
    with alone():
        todo = remaining()
        announce(todo)
        for step, stamp in todo.items():
            shutil.rmtree(str(TEMP), ignore_errors=True)
            TEMP.mkdir(parents=True)
            step()
            (STATE / step.__name__).write_text(stamp)


if __name__ == '__main__':
    try:
        main()
    except SetupError as error:
        sys.exit(f'\nmake setup: {error}')
    except KeyboardInterrupt:
        sys.exit('\nmake setup: interrupted')
