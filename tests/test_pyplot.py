"""Figures have one style and one writer, whatever matplotlib is set to."""

import xml.etree.ElementTree as ET

import pytest

from mmst.pyplot import add_legend, curve_style, figure_style, save_figure

matplotlib = pytest.importorskip('matplotlib')
image = pytest.importorskip('matplotlib.image')
colors = pytest.importorskip('matplotlib.colors')


def draw(path):
    with figure_style('a test is') as plt:
        figure, axis = plt.subplots(figsize=(4, 2))
        axis.plot([1, 2], [3, 4], label='one')
        add_legend(figure, *axis.get_legend_handles_labels())
        save_figure(figure, path)
        assert plt.get_fignums() == []


def test_png_and_svg_are_written_and_are_the_same_whatever_the_user_has_set(tmp_path, monkeypatch):
    draw(tmp_path / 'new' / 'a.png')
    monkeypatch.setitem(matplotlib.rcParams, 'savefig.dpi', 40)
    monkeypatch.setitem(matplotlib.rcParams, 'font.size', 30)
    before = dict(matplotlib.rcParams)
    draw(tmp_path / 'b.png')
    assert dict(matplotlib.rcParams) == before
    assert image.imread(tmp_path / 'b.png').shape == (330, 600, 4)
    assert sorted(file.name for file in tmp_path.rglob('*.*')) == [
        'a.png',
        'a.svg',
        'b.png',
        'b.svg',
    ]
    for suffix in ('png', 'svg'):
        written = (tmp_path / f'b.{suffix}').read_bytes()
        assert written == (tmp_path / 'new' / f'a.{suffix}').read_bytes()
    assert ET.parse(tmp_path / 'b.svg').getroot().get('width') == '288pt'


def test_an_svg_alone_is_written_once(tmp_path):
    draw(tmp_path / 'a.svg')
    assert [file.name for file in tmp_path.iterdir()] == ['a.svg']


def test_an_error_leaves_settings_as_they_were():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), figure_style('a test is') as plt:
        assert plt.rcParams['savefig.dpi'] == 150
        raise ZeroDivisionError
    assert dict(matplotlib.rcParams) == before


def test_curves_differ_in_grey():
    with figure_style('a test is'):
        styles = [curve_style(index) for index in range(8)]
        assert curve_style(8) == styles[0]
    for name in ('color', 'marker'):
        assert len({style[name] for style in styles}) == 8
    assert len({str(style['linestyle']) for style in styles}) == 8
    brightness = [sum(colors.to_rgb(style['color'])) / 3 for style in styles]
    neighbours = zip(brightness, brightness[1:], strict=False)
    assert min(abs(one - other) for one, other in neighbours) > 0.05
