"""Loss curves show main losses beside the subnets'."""

import cv2
import pytest
from pictures import color_of, labelled, legend_colors, points

from mmst.analysis.curves import plot_losses
from mmst.analysis.run_log import RunLog

LOG = RunLog(
    training={
        10: {'loss': 3.0, 'loss_cls': 2.0, 'subnet/loss': 4.0, 'subnet/size': 90},
        20: {'loss': 2.0, 'loss_cls': 1.0, 'subnet/loss': 3.0, 'subnet/size': 70},
    },
    validation={20: {'coco/bbox_mAP': 0.2}},
)


def test_each_loss_has_a_panel_with_both_networks(tmp_path, saved_figures):
    lines = {**LOG.training, 30: {'loss_bbox': 0.5, 'loss_rpn': 0.25}}
    plot_losses(RunLog(lines, {}), tmp_path / 'curves.png')
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
    assert legend_colors(panels[0].get_legend()) == {'main': '#08306b', 'subnets': '#e6760a'}
    for axis in panels[:4]:
        assert axis.get_xlabel() == 'iteration' and axis.get_ylim()[0] == 0
        shown = legend_colors(axis.get_legend())
        assert {name: color_of(line) for name, line in labelled(axis).items()} == shown
    assert cv2.imread(str(tmp_path / 'curves.png')).shape == (600, 1050, 3)


def test_no_loss_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='at least one loss of a training, got none'):
        plot_losses(RunLog({}, LOG.validation), tmp_path / 'curves.png')
