"""The table of the docs says what is registered, and what the libraries build."""

import importlib.util
from pathlib import Path

import pytest

from mmst.analysis.backbones import EXAMPLES, backbone_table, replace_table
from mmst.core import register_residual_stages, residual_stages
from mmst.core.stages import _families

PAGE = Path(__file__).parents[2] / 'docs' / 'backbones.md'


def test_table_of_the_docs_is_the_registry():
    text = PAGE.read_text()
    row = '| `ResNet` | mmdet, mmseg, mmpose, mmpretrain | `ResNet(depth=50)` | 3, 4, 6, 3 |'
    assert f'{row} A stage is a stage of the network. | no |' in text
    assert replace_table(text) == text, (
        'run: python tools/list_backbones.py --write docs/backbones.md'
    )


def test_backbone_without_example_is_refused(monkeypatch):
    monkeypatch.setattr('mmst.core.stages._families', dict(_families))
    register_residual_stages('mmdet.models.backbones.new.New')(lambda backbone: [])
    with pytest.raises(ValueError, match=r"they differ by \['mmdet.models.backbones.new.New'\]"):
        backbone_table()


def test_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="must have the lines '<!-- table: begin"):
        replace_table('# Backbones')


@pytest.mark.parametrize('example', EXAMPLES, ids=lambda e: e.cls)
def test_example_has_the_blocks_that_the_table_says(example):
    if importlib.util.find_spec(example.library) is None:
        pytest.skip(f'{example.library} is not installed')
    backbone = example.build()
    assert example.cls in [f'{c.__module__}.{c.__qualname__}' for c in type(backbone).__mro__]
    assert tuple(len(stage) for stage in residual_stages(backbone)) == example.blocks
