"""Loss curves show main losses beside the subnets'."""

import cv2
import pytest

from mmst.analysis.curves import plot_losses
from mmst.analysis.run_log import RunLog

LOG = RunLog(
    training={
        10: {'loss': 3.0, 'loss_cls': 2.0, 'subnet/loss': 4.0, 'subnet/size': 90},
        20: {'loss': 2.0, 'loss_cls': 1.0, 'subnet/loss': 3.0, 'subnet/size': 70},
    },
    validation={20: {'coco/bbox_mAP': 0.2}},
)


@pytest.fixture
def panels(monkeypatch):
    """Panel title -> curve label -> (iterations, values), of every figure that is saved."""
    from matplotlib.figure import Figure

    seen = {}

    def savefig(figure, path, **options):
        for axis in filter(lambda axis: axis.axison, figure.axes):
            lines = {line.get_label(): line for line in axis.get_lines()}
            seen[axis.get_title()] = {
                label: (list(line.get_xdata()), list(line.get_ydata()))
                for label, line in lines.items()
            }

    monkeypatch.setattr(Figure, 'savefig', savefig)
    return seen


def test_each_loss_has_a_panel_with_both_networks(panels):
    plot_losses(LOG, 'unused.png')
    assert panels == {
        'loss': {'main': ([10, 20], [3.0, 2.0]), 'subnets': ([10, 20], [4.0, 3.0])},
        'loss_cls': {'main': ([10, 20], [2.0, 1.0])},
    }


def test_a_picture_is_written(tmp_path):
    plot_losses(LOG, tmp_path / 'curves.png')
    picture = cv2.imread(str(tmp_path / 'curves.png'))
    assert picture.std() > 1


def test_no_loss_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='at least one loss of a training, got none'):
        plot_losses(RunLog({}, LOG.validation), tmp_path / 'curves.png')
