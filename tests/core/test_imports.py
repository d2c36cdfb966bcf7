"""The core runs where torch is the only package, and mmst says what the rest needs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = 'import sys; sys.modules.update(mmengine=None, numpy=None)\n'
"""No import finds them from here on, though they may be installed."""


def run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-W', 'ignore', '-c', BLOCK + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_core_works_without_mmengine_and_numpy():
    code = """
import torch, mmst.core
from mmst.core.state_guard import record_state
model = torch.nn.Linear(2, 2)
model.history = torch.ones(2)
before = record_state(model)
model.history[0] = 2
print(before.changed_attributes(record_state(model)), mmst.__version__)
print([name for name in sys.modules if name.startswith('mmst.') and 'core' not in name])
"""
    process = run(code)
    assert process.returncode == 0, process.stderr
    changed, loaded = process.stdout.splitlines()
    assert "('torch.nn.modules.linear.Linear', 'history')" in changed
    assert loaded == "['mmst.version']"


@pytest.mark.parametrize('code', ['import mmst; mmst.STBackbone', 'from mmst import STBackbone'])
def test_what_needs_mmengine_says_so(code):
    assert run(code).stderr.splitlines()[-1] == (
        'ModuleNotFoundError: mmst.STBackbone needs mmengine, which is not installed: '
        'pip install mmengine'
    )
