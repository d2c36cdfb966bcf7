"""The Python blocks of the docs run, in order, in one namespace a page."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / 'docs'
PAGES = ['plain_pytorch.md', 'usage.md']


@pytest.mark.parametrize('page', PAGES)
def test_python_blocks_run(page, capsys):
    text = (DOCS / page).read_text()
    blocks = re.findall(r'^```python\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {'__name__': 'docs'}
    for block in blocks:
        exec(compile(block, page, 'exec'), namespace)
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r'^\d: .*', text, flags=re.MULTILINE)
    assert [_without_losses(line) for line in printed] == [_without_losses(p) for p in promised]


def _without_losses(line):
    return re.sub(r'\d+\.\d+', '', line)
