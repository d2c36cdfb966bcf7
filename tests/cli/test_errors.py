"""Errors as one line or as a traceback, by when and where they were raised."""

import argparse
import sys

import pytest

from mmst.cli.command import run_command
from mmst.cli.errors import preparation


def run(code, *arguments, module='mmst.engine.fake', preparing=False):
    """Runs a command that runs code of a module."""

    def command(args):
        if preparing:
            with preparation():
                exec(compile(code, 'fake.py', 'exec'), {'__name__': module})
        exec(compile(code, 'fake.py', 'exec'), {'__name__': module})

    run_command('A command.', lambda parser: None, command, arguments)


@pytest.mark.parametrize(
    ('code', 'line'),
    [
        ("raise ValueError('a rule')", 'ValueError: a rule'),
        ("raise TypeError(\n    'a rule'\n    ' on two lines')", 'TypeError: a rule on two lines'),
        ("raise FloatingPointError('a\\n  rule')", 'FloatingPointError: a rule'),
        ("raise KeyError('a rule')", 'KeyError: a rule'),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n"
         "    raise RuntimeError('a rule') from error", 'RuntimeError: a rule'),
        ("open('/missing')", "FileNotFoundError: [Errno 2] No such file or directory: '/missing'"),
        ("import pathlib\npathlib.Path('/missing').read_text()",
         "FileNotFoundError: [Errno 2] No such file or directory: '/missing'"),
    ],
)  # fmt: skip
def test_what_mmst_raises_on_purpose_is_one_line(code, line):
    with pytest.raises(SystemExit) as error:
        run(code)
    assert error.value.code == line
    with pytest.raises(Exception) as error:  # noqa: B017
        run(code, '--debug')
    assert not isinstance(error.value, SystemExit)


@pytest.mark.parametrize(
    ('code', 'kind'),
    [
        ('len(None)', TypeError),
        ("int('x')", ValueError),
        ('a, b = 1, 2, 3', ValueError),
        ("{}['x']", KeyError),
        ('None.x', AttributeError),
        ("raise ValueError(f'a rule, got {len(None)}')", TypeError),
        ('import torch\ntorch.ones(2) + torch.ones(3)', RuntimeError),
        ('import torch\ntorch.nn.Linear(2, 2)(torch.ones(3))', RuntimeError),
    ],
)
def test_a_bug_of_mmst_has_a_traceback(code, kind):
    with pytest.raises(kind):
        run(code)


@pytest.mark.parametrize('kind', [ValueError, TypeError, OSError, RuntimeError, ImportError])
def test_what_others_raise_is_bad_input_in_preparation_only(kind):
    code = f"raise {kind.__name__}('a rule')"
    with pytest.raises(kind):
        run(code, module='user')
    expected = kind if kind is TypeError else SystemExit
    with pytest.raises(expected):
        run(code, module='user', preparing=True)


def test_a_bug_in_preparation_has_a_traceback():
    with pytest.raises(AttributeError):
        run('None.x', preparing=True)


def test_arguments_are_those_of_the_process_by_default(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tool.py', '--number', '3'])
    seen = []
    run_command('A command.', lambda p: p.add_argument('--number', type=int), seen.append)
    assert seen == [argparse.Namespace(number=3, debug=False)]
