"""Tables are those of the results, by hand, and the page's are those of the committed results."""

import json
import statistics
from pathlib import Path

import pytest
from pictures import color_of, error_bars, labelled, legend_colors, points

from mmst.benchmark import Arm, Effect, Grid, load_grid, plot_results, read_results, replace_results
from mmst.benchmark.results import difference

image = pytest.importorskip('matplotlib.image')

ROOT = Path(__file__).parents[2]

GRID = Grid(
    name='small',
    title='A net on data',
    arms=(
        Arm('plain', 'plain training', 'c.py', {}),
        Arm('longer', 'longer', 'c.py', {}),
        Arm('sizes', 'sizes', 'c.py', {}),
        Arm('st', 'ST*', 'c.py', {}),
    ),
    seeds=(0, 1, 2),
    iters=100,
    input_hw=(8, 8),
    metric='top1',
    baseline='plain',
    effects=(Effect('use', 'st', ('longer', 'sizes')),),
)
VALUES = {
    'plain': [60.0, 62.0, 64.0],
    'longer': [63.0, 66.0, 66.0],
    'sizes': [64.0, 61.0],
    'st': [66.0, 68.0, 67.0],
}
FLOPS = {'plain': 2e12, 'longer': 3e12, 'sizes': 3e12, 'st': 3.1e12}


@pytest.fixture
def folder(tmp_path):
    for arm, values in VALUES.items():
        for seed, value in enumerate(values):
            content = {
                'cell': {'iters': 150 if arm == 'longer' else 100},
                'metrics': {'top1': value},
                'validation': [[50, 1.0], [100, value + 1]],
                'flops': FLOPS[arm],
            }
            (tmp_path / f'{arm}-{seed}.json').write_text(json.dumps(content))
    return tmp_path


PAGE = """# Results
<!-- results of small: begin -->
old
<!-- results of small: end -->
after
"""

TABLE = """# Results
<!-- results of small: begin -->
A net on data; top1, mean ± standard deviation over seeds.

|  | iterations | training FLOPs | test top1 | validation | seeds |
| --- | --- | --- | --- | --- | --- |
| plain training | 100 | 2.0 T, 1.00 x | 62.0 ± 2.0 | 63.0 ± 2.0 | 3 of 3 |
| longer | 150 | 3.0 T, 1.50 x | 65.0 ± 1.7 | 66.0 ± 1.7 | 3 of 3 |
| sizes | 100 | 3.0 T, 1.50 x | 62.5 ± 2.1 | 63.5 ± 2.1 | 2 of 3 |
| ST* | 100 | 3.1 T, 1.55 x | 67.0 ± 1.0 | 68.0 ± 1.0 | 3 of 3 |

Differences, paired by seed, mean ± standard error:

|  | compared with | difference | seeds |
| --- | --- | --- | --- |
| use | longer | +2.0 ± 0.6 | 3 |
<!-- results of small: end -->
after
"""


def test_the_table_holds_means_and_deviations(folder):
    results = read_results(GRID, folder)
    assert replace_results(PAGE, GRID, results) == TABLE
    assert replace_results(TABLE, GRID, results) == TABLE
    with pytest.raises(ValueError, match='results of small: begin'):
        replace_results('# Results', GRID, results)


def test_what_did_not_run_is_missing(folder):
    for seed in range(3):
        (folder / f'longer-{seed}.json').unlink()
    for seed in (1, 2):
        (folder / f'st-{seed}.json').unlink()
    table = replace_results(PAGE, GRID, read_results(GRID, folder))
    assert '| longer | missing | missing | missing | missing | 0 of 3 |' in table
    assert '| ST* | 100 | 3.1 T, 1.55 x | 66.0 | 67.0 | 1 of 3 |' in table
    assert '| use | longer or sizes | missing | 0 |' in table


def test_an_effect_is_over_the_best_and_paired_by_seed(folder):
    results = read_results(GRID, folder)
    found = difference(GRID.effects[0], results)
    differences = [66 - 63, 68 - 66, 67 - 66]
    assert (found.over, found.mean, found.count) == ('longer', statistics.mean(differences), 3)
    assert found.error == pytest.approx(statistics.stdev(differences) / 3**0.5)
    one = difference(Effect('', 'sizes', ('st',)), results)
    assert (one.mean, one.count) == (-4.5, 2)


def test_a_damaged_result_is_named(folder):
    file = folder / 'st-1.json'
    file.write_text(file.read_text()[:-5])
    with pytest.raises(ValueError, match=r'st-1\.json must be .* delete it'):
        read_results(GRID, folder)


def test_the_picture_holds_seeds_means_and_deviations(folder, tmp_path, saved_figures):
    plot_results(GRID, read_results(GRID, folder), tmp_path / 'plot.png')
    figure = saved_figures['plot.png']
    (axis,), (legend,) = figure.axes, figure.legends
    assert (axis.get_xlabel(), axis.get_ylabel()) == ('training FLOPs [T]', 'test top1')
    means = labelled(axis)
    assert list(means) == [
        'plain training, 3 of 3 seeds',
        'longer, 3 of 3 seeds',
        'sizes, 2 of 3 seeds',
        'ST*, 3 of 3 seeds',
    ]
    seeds = [line for line in axis.get_lines() if line.get_marker() == '.']
    for arm, one, (label, mean) in zip(VALUES, seeds, means.items(), strict=True):
        values, flops = VALUES[arm], FLOPS[arm] / 1e12
        assert points(one) == [(flops, value) for value in values]
        center, deviation = statistics.mean(values), statistics.stdev(values)
        assert points(mean.lines[0]) == [pytest.approx((flops, center))]
        assert error_bars(mean) == [pytest.approx((flops, center - deviation, center + deviation))]
        assert color_of(one) == color_of(mean.lines[0]) == legend_colors(legend)[label]
    assert len(set(legend_colors(legend).values())) == 4
    assert len({one.lines[0].get_marker() for one in means.values()}) == 4  # in grey
    assert image.imread(tmp_path / 'plot.png').shape == (540, 1050, 4)


def test_the_picture_of_no_results_is_empty(tmp_path, saved_figures):
    plot_results(GRID, read_results(GRID, tmp_path / 'none'), tmp_path / 'empty.png')
    figure = saved_figures['empty.png']
    assert not figure.axes[0].has_data() and not figure.legends


def test_the_page_holds_the_committed_results():
    page = (ROOT / 'docs' / 'results.md').read_text()
    files = sorted((ROOT / 'tools' / 'experiments').glob('*.yaml'))
    assert files
    for file in files:
        grid = load_grid(file)
        results = read_results(grid, ROOT / 'docs' / 'results' / grid.name)
        assert replace_results(page, grid, results) == page, file.name
