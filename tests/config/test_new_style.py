"""mmengine's new-style configs: classes instead of names, no default_scope, imported on access.

Each is made of one of the zoo that has names. Every edit must do the same to both.
"""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import DefaultScope, Registry, root

from mmst import config as edit
from mmst import mini
from mmst.checkpoints import load_checkpoint
from mmst.checkpoints.build import build_model
from mmst.cli.launch import set_launcher
from mmst.config.file import load_config
from mmst.config.library import library_of
from mmst.config.mini import layout_of
from mmst.config.training import remove_pretrained
from mmst.engine.registry import INPUT_RULES, SUPERVISIONS
from mmst.subnets.config import make_subnet_config, use_validation_data
from mmst.subnets.evaluation import prepare_subnet_test

ROOT = Path(__file__).parents[2]
NAMES = {
    'mmdet': 'faster_rcnn_r50_st.py',
    'mmseg': 'fpn_cityscapes_r50_st.py',
    'mmpose': 'simple_baseline_pose_r50_st.py',
    'mmpretrain': 'pretrain/resnet50_st_klminus.py',
}
REGISTRIES = [
    *(registry for registry in vars(root).values() if isinstance(registry, Registry)),
    SUPERVISIONS,
    INPUT_RULES,
]


@functools.cache
def class_of(name, library):
    """Class of a name in a library's configs, None if it is not registered."""
    with DefaultScope.overwrite_default_scope(library):
        for registry in REGISTRIES:
            with registry.switch_scope_and_registry(None) as own:
                try:
                    found = own.get(name)
                except RuntimeError:
                    continue
            if found is not None:
                return found
    return None


def shortest_module(cls):
    """The package that users import a class from, e.g. ``'mmdet.models'``."""
    parts = cls.__module__.split('.')
    modules = ('.'.join(parts[: index + 1]) for index in range(len(parts)))
    return next(m for m in modules if getattr(sys.modules.get(m), cls.__name__, None) is cls)


def mapped(node, change):
    """A copy of a config in which all types are changed."""
    if isinstance(node, dict):
        return ConfigDict(
            {
                key: change(value)
                if key in ('type', 'wraps') and not isinstance(value, dict)
                else mapped(value, change)
                for key, value in dict.items(node)
                if key not in ('_scope_', 'default_scope', 'custom_imports')
            }
        )
    if isinstance(node, (list, tuple)):
        return type(node)(mapped(value, change) for value in node)
    return node


def new_style(cfg):
    """The same config as mmengine would read it from a new-style file."""

    def unbuilt(kind):
        cls = class_of(kind, cfg.default_scope)
        return kind if cls is None else LazyObject(shortest_module(cls), cls.__name__)

    twin = Config(mapped(cfg._cfg_dict, unbuilt))
    twin.default_scope = None
    return twin


def by_class(cfg, library):
    """A config with the full paths of all classes, for comparisons."""

    def path(kind):
        cls = class_of(kind, library) if isinstance(kind, str) else kind
        cls = cls.build() if isinstance(cls, LazyObject) else cls
        return kind if cls is None else f'{cls.__module__}.{cls.__qualname__}'

    return mapped(cfg._cfg_dict, path).to_dict()


PRETRAINED = """
from mmengine.model.weight_init import PretrainedInit
from mmpretrain.models import (
    ClsDataPreprocessor, GlobalAveragePooling, ImageClassifier, LinearClsHead, ResNet)
from mmst import STBackbone
model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(type=ClsDataPreprocessor),
    backbone=dict(type=STBackbone, wraps=ResNet, depth=18, base_channels=8, stem_channels=8,
                  init_cfg=dict(type=PretrainedInit, checkpoint={checkpoint!r})),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=3, in_channels=64))
default_scope = None
"""


def training_edits(folder):
    """Edits that tools/train.py makes, in its order."""
    return {
        '--mini': lambda cfg: edit.apply_mini(cfg, mini_root=folder),
        '--data-root': lambda cfg: edit.set_data_root(cfg, folder),
        '--cfg-options': lambda cfg: cfg.merge_from_dict({'model.backbone.with_cp': True}),
        'library': lambda cfg: edit.apply_library_defaults(cfg, pin_memory=False),
        '--weights base': lambda cfg: edit.set_weights(cfg, 'base'),
        '--weights none': lambda cfg: edit.set_weights(cfg, 'none'),
        '--max-iters': lambda cfg: edit.set_max_iters(cfg, 15),
        '--seed': lambda cfg: edit.set_seed(cfg, 3),
        '--resume': lambda cfg: edit.set_resume(cfg, 'auto'),
        '--show': lambda cfg: edit.set_visualization(cfg, show=True, show_dir='x', wait_time=1),
        'resumable': edit.make_resumable,
    }


def other_edits(library):
    """Edits that the other tools make."""
    tta = {} if library == 'mmpose' else {'--tta': edit.enable_tta}
    return {
        '--depths': prepare_subnet_test,
        'validation data': use_validation_data,
        'no weights': lambda cfg: remove_pretrained(cfg.model),
        'subnet': lambda cfg: make_subnet_config(cfg, (2, 3, 4, 2), 'a.pth'),
        **tta,
        '--no-validate': edit.disable_validation,
        'bare': edit.remove_surroundings,
    }


def imported_classes(node):
    """Classes in a config that have been imported, which cannot be written to a file any more."""
    if isinstance(node, dict):
        node = list(dict.values(node))
    if isinstance(node, (list, tuple)):
        return [found for value in node for found in imported_classes(value)]
    return [node] if callable(node) and not isinstance(node, (LazyObject, LazyAttr)) else []


@pytest.fixture
def data_root(monkeypatch, tmp_path):
    """A folder for generated data, of which there is none: that has its own tests."""
    (tmp_path / 'mini').mkdir()
    monkeypatch.setattr(mini, 'make_mini_data', lambda *_, **__: tmp_path / 'mini')
    return tmp_path / 'mini'


@pytest.mark.parametrize('library', NAMES)
def test_every_edit_does_the_same_to_classes_as_to_names(library, data_root):
    pytest.importorskip(library)
    old = Config.fromfile(ROOT / 'configs' / NAMES[library])
    new = new_style(old)
    assert library_of(new) is library_of(old)
    assert isinstance(dict.get(new.model, 'type'), LazyObject)
    for name, change in {**training_edits(data_root), **other_edits(library)}.items():
        changed = [change(cfg) for cfg in (old, new)]
        old, new = changed if isinstance(changed[0], Config) else (old, new)
        assert by_class(new, library) == by_class(old, library), name
        assert not imported_classes(new._cfg_dict), name


PLAIN = ('faster_rcnn_r50.py', 'fpn_cityscapes_r50.py', 'simple_baseline_pose_r50.py')


@pytest.mark.parametrize('name', [*PLAIN, 'pretrain/resnet50_ct.py'])
def test_a_config_of_classes_is_stimulated_as_one_of_names(name):
    old = Config.fromfile(ROOT / 'configs' / name)
    new, library = new_style(old), old.default_scope
    for cfg in (old, new):
        edit.stimulate(cfg, num_subnets=2)
    assert by_class(new, library) == by_class(old, library)
    assert not imported_classes(new._cfg_dict)


READ_BASE = """
from mmengine.config import read_base
with read_base():
    from .base import *
"""


def write_new_style(cfg, file):
    """Writes a config as new-style files: one with the model, which reads all else from a base."""
    text = new_style(cfg).to_dict()
    model = {'model': text.pop('model')}
    for content, path, start in ((text, file.with_name('base.py'), ''), (model, file, READ_BASE)):
        code = Config(content, format_python_code=False).pretty_text
        imports = []
        for dotted in sorted(set(re.findall(r"(?<==)'(\w+(?:\.\w+)+)'", code))):
            if class_of(dotted, 'mmengine') is not None:
                module, name = dotted.rsplit('.', 1)
                alias = dotted.replace('.', '_')
                imports.append(f'from {module} import {name} as {alias}')
                code = code.replace(f"'{dotted}'", alias)
        assert imports
        path.write_text('\n'.join([*imports, start, code]))


def test_weights_of_a_new_style_config_are_named(tmp_path):
    """Upstream's ResNet would otherwise set the last norm weight of each block to 0."""
    (tmp_path / 'a.py').write_text(PRETRAINED.format(checkpoint=str(tmp_path / 'a.pth')))
    cfg = load_config(str(tmp_path / 'a.py'))
    assert cfg.model.backbone.init_cfg.type == 'Pretrained'
    assert isinstance(dict.get(cfg.model.backbone, 'wraps'), LazyObject)
    # Read again from what mmengine writes to the work dir.
    (tmp_path / 'b.py').write_text(Config.fromfile(tmp_path / 'a.py').pretty_text)
    assert 'weight_init.PretrainedInit' in (tmp_path / 'b.py').read_text()
    for file in ('a.py', 'b.py'):
        model = build_model(load_config(str(tmp_path / file)))
        weights = {name: value + 1 for name, value in model.backbone.state_dict().items()}
        torch.save(weights, tmp_path / 'a.pth')
        model.init_weights()
        for name, value in model.backbone.state_dict().items():
            assert torch.equal(value, weights[name]), (file, name)


@pytest.mark.parametrize('library', NAMES)
def test_a_written_config_is_read_back(library, data_root):
    pytest.importorskip(library)
    cfg = new_style(Config.fromfile(ROOT / 'configs' / NAMES[library]))
    for change in training_edits(data_root).values():
        change(cfg)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert by_class(again, library) == by_class(cfg, library)
    assert layout_of(again) == layout_of(cfg)
    assert library_of(again).scope == library


def test_a_wrapper_of_the_model_may_be_a_class(monkeypatch):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    wrapper = {'type': LazyObject('mmengine.model', 'MMDistributedDataParallel')}
    cfg = set_launcher(Config({'model_wrapper_cfg': wrapper}), 'pytorch')
    assert cfg.model_wrapper_cfg.device_ids is None
    assert not imported_classes(cfg._cfg_dict)


@pytest.mark.slow
@pytest.mark.parametrize('library', ['mmdet', 'mmpretrain'])
def test_a_run_of_a_new_style_config_is_that_of_the_config_of_names(library, tmp_path):
    pytest.importorskip(library)
    old = ROOT / 'configs' / NAMES[library]
    new = tmp_path / 'new.py'
    write_new_style(Config.fromfile(old), new)
    assert Config.fromfile(new).default_scope is None
    data_root = tmp_path / 'data'
    layout = layout_of(Config.fromfile(new))
    mini.make_mini_data(layout, data_root, num_train=4, num_val=2, seed=0)
    states = []
    for config in (old, new):
        work_dir = tmp_path / f'run_{config.stem}'
        options = ['--mini', '--max-iters', '2', '--seed', '3', '--work-dir', work_dir]
        options += ['--data-root', data_root]
        command = [sys.executable, ROOT / 'tools' / 'train.py', config, *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert 'Stimulative training' in done.stdout and 'subnet/loss' in done.stdout
        states.append(load_checkpoint(work_dir / 'iter_2.pth')['state_dict'])
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
