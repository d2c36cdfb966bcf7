"""Runs an upstream library's own tests plainly and with subnets, and prints what differs."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from .checkout import REPO, TOOLS
from .command import run_command
from .errors import preparation

DISTRIBUTIONS = {
    'mmdet': 'mmdet',
    'mmseg': 'mmsegmentation',
    'mmpose': 'mmpose',
    'mmpretrain': 'mmpretrain',
}
SESSION = TOOLS / 'upstream_session.py'
TESTS = 'tests/test_models'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('--work-dir', type=Path, help='for reports; default: work_dirs/upstream')
    parser.add_argument(
        '--min-ratio',
        type=float,
        default=1.0,
        metavar='R',
        help='smallest ratio of the input sizes of subnets in whole models; default: 1',
    )
    parser.add_argument('library', choices=DISTRIBUTIONS)
    parser.add_argument('checkout', type=Path, help='its repository, at the installed version')
    parser.add_argument(
        'pytest_args',
        nargs=argparse.REMAINDER,
        help=f'files, folders and options for pytest; default: {TESTS}',
    )


def check_version(library: str, checkout: Path) -> str:
    """Returns the version of a checkout.

    Raises:
        ValueError: It is no checkout of the library, or not of the installed version.
    """
    file = checkout / library / 'version.py'
    if not file.is_file():
        raise ValueError(f'CHECKOUT must be a repository of {library}, got none: {file} is missing')
    match = re.search(r"__version__ = '([^']+)'", file.read_text())
    if match is None:
        raise ValueError(
            f'CHECKOUT must be a repository of {library}, got none: {file} has no __version__'
        )
    found = match[1]
    installed = version(DISTRIBUTIONS[library])
    if found != installed:
        raise ValueError(
            f'CHECKOUT must be at the installed version, got {found} of {library}, and {installed} '
            f'is installed: git -C {checkout} checkout v{installed}'
        )
    return found


def run_session(name: str, program: list[str], checkout: Path, work_dir: Path) -> Path:
    """Runs the tests once; returns pytest's report.

    Raises:
        RuntimeError: pytest did not get as far as a report.
    """
    report, log = work_dir / f'{name}.xml', work_dir / f'{name}.log'
    report.unlink(missing_ok=True)
    # The checkout instead of the installed package: upstream's tests look for its configs.
    paths = [checkout, REPO, os.environ.get('PYTHONPATH', '')]
    # Upstream's default options need plugins.
    options = ['-o', 'addopts=', '-p', 'no:cacheprovider', f'--junitxml={report}']
    with log.open('w') as out:
        subprocess.run(
            [sys.executable, *program, *options],
            cwd=checkout,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(str(path) for path in paths if path)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if not report.exists():
        raise RuntimeError(f'pytest must write a report, got none; its output is in {log}')
    return report


def read_report(report: Path) -> dict[str, tuple[str, str]]:
    """Maps each test of a report to its outcome and, if it has one, its message."""
    outcomes = {}
    for case in ElementTree.parse(report).iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        outcomes[name] = ('passed', '')
        for child in case:
            if child.tag in ('failure', 'error', 'skipped'):
                outcome = {'failure': 'failed'}.get(child.tag, child.tag)
                outcomes[name] = (outcome, child.get('message', '').partition('\n')[0])
    return outcomes


def count(outcomes: dict[str, tuple[str, str]]) -> str:
    """Counts each kind of outcome."""
    found = [outcome for outcome, _ in outcomes.values()]
    return ', '.join(f'{found.count(name)} {name}' for name in sorted(set(found), reverse=True))


def differences(
    plain: dict[str, tuple[str, str]], stimulated: dict[str, tuple[str, str]]
) -> list[str]:
    """One line per test whose outcome differs with subnets."""
    missing = ('missing', '')
    lines = []
    for name in sorted(plain.keys() | stimulated.keys()):
        before, after = plain.get(name, missing), stimulated.get(name, missing)
        if before[0] != after[0]:
            reason = after[1] or before[1]
            lines.append(f'{name}: {before[0]} plainly, {after[0]} with subnets: {reason}')
    return lines


def table(title: str, counts: dict[str, int]) -> str:
    """A title with the sum of some counts, and the counts in descending order."""
    rows = sorted(counts.items(), key=lambda row: -row[1])
    parts = ', '.join(f'{number} {name}' for name, number in rows)
    return f'{title}: {sum(counts.values())}' + (f' ({parts})' if parts else '')


@preparation()
def run(args: argparse.Namespace) -> None:
    """Runs the tests twice and compares."""
    checkout = args.checkout.resolve()
    found = check_version(args.library, checkout)
    work_dir = args.work_dir or Path('work_dirs', 'upstream')
    work_dir = (work_dir / args.library).resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    tests = args.pytest_args
    if not any((checkout / name.partition('::')[0]).exists() for name in tests):
        tests = [TESTS, *tests]
    passes = work_dir / 'passes.json'
    session = [str(SESSION), args.library, str(passes), str(args.min_ratio)]
    plain = read_report(run_session('plain', ['-m', 'pytest', *tests], checkout, work_dir))
    stimulated = read_report(run_session('stimulated', [*session, *tests], checkout, work_dir))
    counts = json.loads(passes.read_text())
    print(f'{args.library} {found}: {" ".join(tests)}')
    print(f'plain:        {count(plain)}')
    print(f'with subnets: {count(stimulated)}')
    print(table('subnet passes', counts['passes']) + f' in {counts["tests"]} tests')
    print(table('training forwards without one', counts['without']))
    lines = differences(plain, stimulated)
    print(f'tests that differ: {len(lines)}', *lines, sep='\n  ')
    print(f'reports: {work_dir}')
    if lines or not counts['passes']:
        sys.exit(1)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
