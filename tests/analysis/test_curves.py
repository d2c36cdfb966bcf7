"""Loss curves are read from what mmengine writes, main losses beside the subnets'."""

import json

import cv2
import pytest
from pictures import color_of, labelled, legend_colors, points

from mmst.analysis.curves import plot_losses, read_scalars

LINES = [
    {'loss': 3.0, 'loss_cls': 2.0, 'subnet/loss': 4.0, 'subnet/size': 90, 'step': 10},
    {'loss': 2.0, 'loss_cls': 1.0, 'subnet/loss': 3.0, 'subnet/size': 70, 'step': 20},
    {'coco/bbox_mAP': 0.2, 'step': 20},
]


@pytest.fixture
def run_dir(tmp_path):
    for name, lines in (('20260101_000000', LINES[:1]), ('20260102_000000', LINES)):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    return tmp_path


def test_the_newest_run_is_read(run_dir):
    assert read_scalars(run_dir) == LINES


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(
        FileNotFoundError, match='no .*scalars.json in .*give the work dir of a run'
    ):
        read_scalars(tmp_path)


def test_each_loss_has_a_panel_with_both_networks(tmp_path, saved_figures):
    plot_losses([*LINES, {'loss_bbox': 0.5, 'loss_rpn': 0.25, 'step': 30}], tmp_path / 'curves.png')
    panels = saved_figures['curves.png'].axes
    assert [axis.get_title() for axis in panels if axis.axison] == [
        'loss', 'loss_cls', 'loss_bbox', 'loss_rpn'
    ]  # fmt: skip
    curves = [
        {name: points(line) for name, line in labelled(axis).items()}
        for axis in panels
        if axis.axison
    ]
    assert curves == [
        {'main': [(10, 3.0), (20, 2.0)], 'subnets': [(10, 4.0), (20, 3.0)]},
        {'main': [(10, 2.0), (20, 1.0)]},
        {'main': [(30, 0.5)]},
        {'main': [(30, 0.25)]},
    ]
    assert legend_colors(panels[0]) == {'main': '#1f77b4', 'subnets': '#ff7f0e'}
    for axis in panels[:4]:
        assert axis.get_xlabel() == 'iteration' and axis.get_ylim()[0] == 0
        shown = legend_colors(axis)
        assert {name: color_of(line) for name, line in labelled(axis).items()} == shown
    assert cv2.imread(str(tmp_path / 'curves.png')).shape == (720, 1512, 3)


def test_no_loss_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='at least one loss of a training, got none'):
        plot_losses(LINES[2:], tmp_path / 'curves.png')
