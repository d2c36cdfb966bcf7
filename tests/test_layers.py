"""Imports point inwards only, and importing mmst imports no task library."""

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from mmengine.config import Config

import mmst.config

ROOT = Path(__file__).parent.parent
# From the ground up; a layer may import itself and the ones before it.
LAYERS = (
    'core',
    'mini',
    'ground_truth',
    'checkpoints',
    'engine',
    'models',
    'transforms',
    'config',
    'subnets',
    'analysis',
    'browse',
    'benchmark',
    'cli',
)
TASK_LIBRARIES = {'mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'mmcv'}
CORE_MAY_IMPORT = {*sys.stdlib_module_names, 'torch', 'mmst'}


def imports_of(path: Path) -> set[str]:
    """Dotted names that a file imports, also inside functions; relative ones are resolved."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names.add('.'.join((*base, *filter(None, (node.module,)))))
    return names


def files(layer: str) -> list[Path]:
    return sorted((ROOT / 'mmst' / layer).rglob('*.py'))


@pytest.mark.parametrize('layer', LAYERS)
def test_imports_point_inwards(layer):
    allowed = {f'mmst.{inner}' for inner in LAYERS[: LAYERS.index(layer) + 1]}
    assert files(layer), f'mmst/{layer} is gone: update LAYERS'
    for path in files(layer):
        for name in imports_of(path):
            if name.split('.')[0] == 'mmst' and name not in ('mmst.version', 'mmst.pyplot'):
                assert '.'.join(name.split('.')[:2]) in allowed, f'{path} imports {name}'


def test_every_folder_is_a_known_layer():
    folders = {path.parent.name for path in (ROOT / 'mmst').glob('*/__init__.py')}
    assert folders == set(LAYERS)


def test_only_the_doors_in_tools_import_commands():
    everything = [p for name in ('mmst', 'tools', 'configs') for p in (ROOT / name).rglob('*.py')]
    importing = {path for path in everything if any('mmst.cli' in n for n in imports_of(path))}
    doors = importing - set(files('cli'))
    assert len(doors) == 16
    for path in doors:
        assert path.parent == ROOT / 'tools', f'{path} imports mmst.cli'
        code = ast.unparse(ast.parse(path.read_text()).body[1:])  # without the docstring
        guard = "if __name__ == '__main__':\n    main()"
        assert code == f'from mmst.cli.{path.stem} import main\n{guard}', f'{path} does more'


def test_core_needs_torch_and_the_standard_library_only():
    for path in files('core'):
        roots = {name.split('.')[0] for name in imports_of(path)}
        assert roots <= CORE_MAY_IMPORT, f'{path} imports {roots - CORE_MAY_IMPORT}'


def test_task_libraries_are_imported_where_they_are_the_subject_only():
    for layer in set(LAYERS) - {'ground_truth', 'transforms', 'browse', 'mini'}:
        for path in files(layer):
            roots = {name.split('.')[0] for name in imports_of(path)}
            assert not roots & TASK_LIBRARIES, f'{path} imports {roots & TASK_LIBRARIES}'


def test_config_exports_edits_of_a_config_only():
    assert len(mmst.config.__all__) > 15
    for name in mmst.config.__all__:
        edit = getattr(mmst.config, name)
        types = typing.get_type_hints(edit)
        first = next(iter(inspect.signature(edit).parameters))
        assert types[first] is types['return'] is Config, f'{name} is not Config -> Config'


def test_importing_mmst_imports_no_task_library():
    code = 'import sys, mmst; print(*sorted(sys.modules))'
    modules = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert 'mmst.engine.stimulative_hook' in modules
    assert not TASK_LIBRARIES & set(modules)
