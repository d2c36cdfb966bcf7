"""A grid is checked whole before anything starts."""

from pathlib import Path

import pytest
import yaml

from mmst.benchmark import Effect, chosen, load_grid

ROOT = Path(__file__).parents[2]

CONTENT = {
    'title': 'a net on data',
    'config': 'plain.py',
    'input_hw': [32, 48],
    'iters': 100,
    'metric': 'accuracy/top1',
    'seeds': [0, 3],
    'baseline': 'plain',
    'arms': {
        'plain': {'label': 'plain'},
        'longer': {'label': 'longer', 'equal_flops': 'st'},
        'st': {'label': 'ST*', 'config': 'st.py', 'options': {'a.b': [1, 2]}},
    },
    'effects': [{'label': 'use', 'arm': 'st', 'over': ['longer']}],
}


@pytest.fixture
def grid_file(tmp_path):
    def write(**changes):
        file = tmp_path / 'small.yaml'
        file.write_text(yaml.safe_dump({**CONTENT, **changes}, sort_keys=False))
        return file

    return write


def test_a_grid_is_what_its_file_says(grid_file):
    grid = load_grid(grid_file())
    assert (grid.name, grid.input_hw, grid.seeds) == ('small', (32, 48), (0, 3))
    assert [arm.name for arm in grid.arms] == ['plain', 'longer', 'st']
    assert [arm.config for arm in grid.arms] == ['plain.py', 'plain.py', 'st.py']
    assert grid.arm('st').options == {'a.b': [1, 2]}
    assert grid.arm('longer').equal_flops == 'st'
    assert grid.effects == (Effect('use', 'st', ('longer',)),)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sedes': [1]}, r"unknown keys \['sedes'\]"),
        ({'arms': {'plain': {'label': 'x', 'lr': 1}}}, r"arm plain has unknown keys \['lr'\]"),
        ({'arms': {'plain': {}}}, r'arm plain: .*label'),
        ({'config': None}, r'config of plain must be given'),
        ({'iters': 0}, r'iters must be at least 1, got 0'),
        ({'seeds': []}, r'seeds must be at least one'),
        ({'seeds': [1, 1]}, r'seeds must be different'),
        ({'input_hw': [32]}, r'input_hw must be a height and a width'),
        ({'baseline': 'base'}, r"baseline must be one of \['plain', 'longer', 'st'\], got 'base'"),
        (
            {'arms': {**CONTENT['arms'], 'longer': {'label': 'x', 'equal_flops': 'ts'}}},
            r"equal_flops of longer must be one of .*, got 'ts'",
        ),
        (
            {'arms': {**CONTENT['arms'], 'plain': {'label': 'x', 'equal_flops': 'longer'}}},
            r"equal_flops of plain must be an arm without equal_flops, got 'longer'",
        ),
        ({'effects': [{'label': 'use', 'arm': 'st', 'over': ['it']}]}, r"effect 'use'.*got 'it'"),
    ],
)
def test_what_is_wrong_is_named(grid_file, changes, message):
    with pytest.raises(ValueError, match=message):
        load_grid(grid_file(**changes))


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"got 'gone\.yaml'"):
        load_grid('gone.yaml')


def test_arms_and_seeds_are_chosen_in_the_order_of_the_grid(grid_file):
    grid = load_grid(grid_file())
    assert chosen(grid, None, None) == (['plain', 'longer', 'st'], [0, 3])
    assert chosen(grid, ['st', 'plain'], [3]) == (['plain', 'st'], [3])
    with pytest.raises(ValueError, match=r"--arms must be of .* of small, got \['ts'\]"):
        chosen(grid, ['ts'], None)
    with pytest.raises(ValueError, match=r'--seeds must be of \[0, 3\] of small, got \[1\]'):
        chosen(grid, None, [1])


def test_the_grids_of_the_project_name_configs_that_are_there():
    files = sorted((ROOT / 'tools' / 'experiments').glob('*.yaml'))
    assert files
    for file in files:
        for arm in load_grid(file).arms:
            assert (ROOT / arm.config).is_file(), (file.name, arm.name)
