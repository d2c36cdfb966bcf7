"""Logs of a training are read as mmengine writes them, over all its interruptions."""

import pytest

from mmst.analysis.run_log import RunLog, read_run_log


def train(step, **values):
    return {'lr': 0.1, **values, 'iter': step, 'step': step}


def test_losses_are_what_mmengine_adds_up(write):
    values = {'loss': 3.0, 'decode.loss_ce': 2.0, 'decode.acc_seg': 7.0, 'grad_norm': 5.0}
    subnet = {'subnet/loss': 4.0, 'subnet/decode.loss_ce': 1.0, 'subnet/size': 90.0}
    validation = {'loss': 9.0, 'mIoU': 20.0, 'step': 10}
    log = read_run_log(write([train(10, **values, **subnet), validation, train(20, loss=2.0)]))
    assert log.losses() == {
        'loss': [(10, 3.0), (20, 2.0)],
        'decode.loss_ce': [(10, 2.0)],
        'subnet/loss': [(10, 4.0)],
        'subnet/decode.loss_ce': [(10, 1.0)],
    }
    assert log.metric('mIoU') == [(10, 20.0)]
    assert log.metric('aAcc') == []


def test_a_resumed_run_replaces_what_it_repeats(write):
    begun = [train(1, loss=1), train(2, loss=2), {'mIoU': 2, 'step': 2}, train(3, loss=3)]
    lost = [train(4, loss=4), {'mIoU': 4, 'step': 4}]
    resumed = [train(3, loss=30), {'mIoU': 30, 'step': 3}]
    log = read_run_log(write(begun + lost, resumed))
    assert log.losses()['loss'] == [(1, 1), (2, 2), (3, 30)]
    assert log.metric('mIoU') == [(2, 2), (3, 30)]


def test_a_run_that_begins_again_is_all_that_counts(write):
    log = read_run_log(write([train(1, loss=1), train(2, loss=2)], [train(1, loss=3)]))
    assert log.losses() == {'loss': [(1, 3)]}


def test_lines_of_one_validation_come_together(write):
    lines = [train(4), {'mIoU': 20.0, 'step': 4}, {'subnet_1_1/mIoU': 10.0, 'step': 4}]
    log = read_run_log(write(lines))
    assert log.metric('mIoU') == [(4, 20.0)]
    assert log.metric('subnet_1_1/mIoU') == [(4, 10.0)]


@pytest.mark.parametrize('resumed', [False, True])
def test_validations_of_epochs_stand_at_their_iterations(write, resumed):
    """Epochs of 7 iterations, of which every third is logged."""
    lines = []
    for epoch in (1, 2, 3):
        start = 7 * (epoch - 1)
        lines += [{**train(start + step), 'epoch': epoch} for step in (3, 6)]
        lines.append({'top1': float(epoch), 'step': epoch})
    runs = [lines[:4], lines[3:]] if resumed else [lines]  # resumed after the first epoch
    log = read_run_log(write(*runs))
    assert log.epoch_length == 7
    assert list(log.training) == [3, 6, 10, 13, 17, 20]
    assert log.metric('top1') == [(7, 1.0), (14, 2.0), (21, 3.0)]


def test_of_a_single_epoch_the_last_logged_iteration_counts(write):
    lines = [{**train(3), 'epoch': 1}, {**train(6), 'epoch': 1}, {'top1': 1.0, 'step': 1}]
    assert read_run_log(write(lines)).metric('top1') == [(6, 1.0)]


def test_iterations_without_epochs_are_taken_as_they_are(write):
    log = read_run_log(write([train(6), {'top1': 1.0, 'step': 8}]))
    assert log.epoch_length is None
    assert log.metric('top1') == [(8, 1.0)]


def test_a_line_that_a_kill_cut_off_is_left_out(write):
    work_dir = write([train(1, loss=1.0), train(2, loss=2.0)])
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    file.write_text(file.read_text()[:-9])
    assert read_run_log(work_dir).losses() == {'loss': [(1, 1.0)]}


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'no .*scalars.json in .*give the work dir of a run'
    ):
        read_run_log(tmp_path)


def test_passes_are_those_of_the_stimulated_part():
    lines = [{'loss': 1.0}, {'subnet/cost': 0.4}, {'subnet/cost': 0.8}]
    log = RunLog(dict(enumerate(lines)), {})
    assert log.passes(stimulated=1.0) == pytest.approx(1.6)
    assert log.passes(stimulated=0.5) == pytest.approx(1.3)
    areas = [{'main/area': 0.25}, {'main/area': 0.75}]
    assert RunLog(dict(enumerate(areas)), {}).passes(0.0) == 0.5
