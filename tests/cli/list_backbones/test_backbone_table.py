"""The tables of the docs say what is registered, and what the libraries build."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
import torch

from mmst.cli.list_backbones.backbone_table import EXAMPLES, backbone_table, replace_tables
from mmst.core import Block, active_subnet, register_residual_stages, residual_stages
from mmst.core.refusals import REFUSALS
from mmst.core.stages import _families

PAGE = Path(__file__).parents[3] / 'docs' / 'backbones.md'


def test_tables_of_the_docs_are_the_registry():
    text = PAGE.read_text()
    row = '| `ResNet` | mmdet, mmseg, mmpose, mmpretrain | `ResNet(depth=50)` | 3, 4, 6, 3 |'
    assert f'{row} A stage is a stage of the network. | no |' in text
    assert '| `VPD` (mmseg) | it runs a diffusion model |' in text
    assert replace_tables(text) == text, (
        'run: python tools/list_backbones.py --write docs/backbones.md'
    )


def test_backbone_without_example_is_refused(monkeypatch):
    monkeypatch.setattr('mmst.core.stages._families', dict(_families))
    register_residual_stages('mmdet.models.backbones.new.New')(lambda backbone: [])
    with pytest.raises(ValueError, match=r"they differ by \['mmdet.models.backbones.new.New'\]"):
        backbone_table()


def test_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="must have the lines '<!-- table: begin"):
        replace_tables('# Backbones')


@pytest.mark.parametrize('example', EXAMPLES, ids=lambda e: e.cls)
def test_example_has_the_blocks_that_the_table_says(example):
    if importlib.util.find_spec(example.library) is None:
        pytest.skip(f'{example.library} is not installed')
    backbone = example.build()
    assert example.cls in [f'{c.__module__}.{c.__qualname__}' for c in type(backbone).__mro__]
    assert tuple(len(stage) for stage in residual_stages(backbone)) == example.blocks


def class_of(name):
    module, _, cls = name.rpartition('.')
    return getattr(importlib.import_module(module), cls)


@pytest.mark.parametrize('name', REFUSALS)
def test_refused_class_exists_and_is_refused_with_its_reason(name):
    if importlib.util.find_spec(name.partition('.')[0]) is None:
        pytest.skip('its library is not installed')
    cls = class_of(name)
    for refused in (cls, type('Derived', (cls,), {})):
        message = f'can be skipped, got {refused.__module__}.{refused.__qualname__}: '
        with pytest.raises(TypeError, match=re.escape(message + REFUSALS[name])):
            residual_stages(refused.__new__(refused))


def test_adapter_of_a_refused_class_goes_first(monkeypatch):
    monkeypatch.setattr('mmst.core.stages._families', dict(_families))
    cls = class_of('mmpose.models.backbones.vgg.VGG')
    backbone = cls(16)
    with pytest.raises(TypeError, match='no residual blocks'):
        residual_stages(backbone)

    @register_residual_stages(cls)
    def stages(backbone):
        return [[Block(backbone.features, '0'), Block(backbone.features, '1')]]

    images = torch.randn(1, 3, 64, 64)
    whole = backbone(images)[-1]
    with active_subnet(backbone, (1,)):
        subnet = backbone(images)[-1]
    assert [len(stage) for stage in residual_stages(backbone)] == [2]
    assert whole.shape == subnet.shape and not torch.equal(whole, subnet)
