"""Runner of the cells of a grid: each a ``train.py`` and a ``test.py`` in its own folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from mmst.analysis.run_log import Curve, RunLog, read_run_log
from mmst.checkpoints.write import file_sha256
from mmst.subnets.config import use_validation_data

from .cell import Cell, cell_config, changed_settings, read_result, write_result
from .step_report import environment
from .training_cost import PASSES_PER_STEP

__all__ = ['CellRunner', 'run_cells']

LOCK = 'lock'
CONFIGS = 'configs'
"""Folder of a cell's configs: mmengine writes one of the same name into the work dir."""

LOSS_POINTS = 20
"""Points of each loss that a result keeps."""


@dataclass(frozen=True)
class CellRunner:
    """Runs one cell after the other, in processes of their own.

    A cell is finished when its result file is there, which is written whole. It is locked while
    a process works on it, so that several runners can share the folders; the lock goes to the
    process of the training, so that it holds as long as that lives.

    Args:
        results: Folder of the result files.
        work_dirs: Folder of the work dirs.
        tools: Folder of ``train.py`` and ``test.py``.
        data_root: What ``--data-root`` gets.
        metric: Name of the metric whose curve is kept.
        say: Gets a line for each thing that happens.
    """

    results: Path
    work_dirs: Path
    tools: Path
    data_root: str | None
    metric: str
    say: Callable[[str], None] = print

    def result_file(self, cell: Cell) -> Path:
        """Path of a cell's result."""
        return self.results / f'{cell.name}.json'

    def check_finished(self, cells: Sequence[Cell]) -> None:
        """Compares the cells with the results that are there.

        Raises:
            ValueError: A result is damaged, or of a cell with other settings.
        """
        for cell in cells:
            file = self.result_file(cell)
            if file.exists() and (changes := changed_settings(cell, read_result(file))):
                raise ValueError(
                    f'{file} is of another grid: {"; ".join(changes)}; delete it, or give another '
                    'folder of results'
                )

    def run(self, cell: Cell) -> bool:
        """Runs a cell unless it is finished or another process works on it.

        Returns:
            Whether it did not fail.
        """
        work_dir = self.work_dirs / cell.name
        work_dir.mkdir(parents=True, exist_ok=True)
        with _locked(work_dir / LOCK) as lock:
            if lock is None:
                self.say(f'{cell.name}: another runner works on it')
                return True
            if self.result_file(cell).exists():
                self.say(f'{cell.name}: finished')
                return True
            commit = _commit(self.tools)
            try:
                self._train(cell, work_dir, lock)
                metrics = self._test('cell', cell, work_dir, lock)
                log = read_run_log(work_dir)
                self._complete(log, cell, work_dir, lock)
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                self.say(f'{cell.name}: failed, {error}; see {work_dir}')
                return False
            content = {**self._content(cell, log, metrics), 'commit': commit}
            write_result(cell, content, self.result_file(cell))
            self.say(f'{cell.name}: {self.metric} {metrics[self.metric]:.2f}')
            return True

    def _train(self, cell: Cell, work_dir: Path, lock: int) -> None:
        file, text = work_dir / CONFIGS / 'cell.py', cell_config(cell, self.data_root).pretty_text
        if file.exists() and file.read_text() != text:
            raise ValueError(
                f'an interrupted cell must go on with the config it began with, got another one '
                f'than {file}; delete its folder, and it begins again'
            )
        self.say(f'{cell.name}: training of {cell.iters} iterations in {work_dir}')
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        weights = [] if cell.weights is None else ['--weights', cell.weights]
        arguments = ['--work-dir', work_dir, '--seed', cell.seed, '--resume', *weights]
        self._call('train', [file, *arguments], work_dir, lock)

    def _test(self, config: str, cell: Cell, work_dir: Path, lock: int) -> dict[str, Any]:
        out = work_dir / 'test.json'
        checkpoint = work_dir / f'iter_{cell.iters}.pth'
        arguments = [
            work_dir / CONFIGS / f'{config}.py',
            checkpoint,
            '--work-dir',
            work_dir / 'test',
        ]
        self._call('test', [*arguments, '--out', out], work_dir, lock)
        metrics = json.loads(out.read_text())
        if self.metric not in metrics:
            raise ValueError(
                f'metric must be one of {sorted(metrics)} that {config}.py has, got {self.metric!r}'
            )
        return metrics

    def _call(self, tool: str, arguments: Sequence[object], work_dir: Path, lock: int) -> None:
        command = [sys.executable, str(self.tools / f'{tool}.py'), *map(str, arguments)]
        with open(work_dir / f'{tool}.log', 'a') as output:
            subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, check=True, pass_fds=[lock]
            )

    def _complete(self, log: RunLog, cell: Cell, work_dir: Path, lock: int) -> None:
        """Makes up for the last validation where a kill has hit it: a resumed run is over then."""
        if max(log.training, default=0) != cell.iters:
            raise ValueError(
                f'logs must end with iteration {cell.iters}, got {max(log.training, default=0)}'
            )
        if self.metric not in log.validation.get(cell.iters, {}):
            cfg = use_validation_data(cell_config(cell, self.data_root))
            cfg.dump(work_dir / CONFIGS / 'validation.py')
            log.validation[cell.iters] = self._test('validation', cell, work_dir, lock)

    def _content(self, cell: Cell, log: RunLog, metrics: dict[str, Any]) -> dict[str, Any]:
        passes = log.passes(cell.stimulated)
        per_pass = PASSES_PER_STEP * cell.forward_flops * cell.batch_size * cell.iters
        return {
            'metrics': metrics,
            'validation': log.metric(self.metric),
            'losses': {name: _means(curve) for name, curve in sorted(log.losses().items())},
            'passes': passes,
            'flops': per_pass * passes,
            'seconds': log.seconds_per_iter * cell.iters,
            'sha256': {
                'config': sha256(cell_config(cell, None).pretty_text.encode()).hexdigest(),
                'weights': cell.weights and file_sha256(cell.weights),
            },
            'environment': environment(
                torch.device('cuda' if torch.cuda.is_available() else 'cpu')
            ),
        }


def run_cells(runner: CellRunner, cells: Sequence[Cell], jobs: int = 1) -> list[Cell]:
    """Runs several cells at the same time; one that fails does not stop the others.

    Returns:
        Those that failed.

    Raises:
        ValueError: ``jobs`` is less than 1, or a result is damaged or of other settings.
    """
    if jobs < 1:
        raise ValueError(f'--jobs must be at least 1, got {jobs}')
    runner.check_finished(cells)
    with ThreadPoolExecutor(jobs) as pool:
        succeeded = list(pool.map(runner.run, cells))
    return [cell for cell, success in zip(cells, succeeded, strict=True) if not success]


def _means(curve: Curve) -> Curve:
    """A curve of few points: iteration, and mean since the point before."""
    size = -(-len(curve) // LOSS_POINTS)
    parts = [curve[i : i + size] for i in range(0, len(curve), size)]
    return [(part[-1][0], round(statistics.fmean(v for _, v in part), 5)) for part in parts]


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[int | None]:
    """Locks a file; yields its descriptor, None if another process holds it."""
    with open(file, 'w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream.fileno()


def _commit(folder: Path) -> str | None:
    """The commit of a working tree, with a + if something in it is changed; None outside git."""

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', '--short=10', 'HEAD') + ('+' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return None
