"""tools/analyze_logits.py looks at the logits of the checkpoint, and of its subnets."""

import json

import cv2
import pytest
import torch

from mmst.core import active_subnet


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_statistics_are_those_of_the_first_test_images(network, run_tool, tmp_path, capsys):
    config, checkpoint, data, model = network
    out = tmp_path / 'out'
    where = ('--num-images', 3, '--data-root', data, '--out-dir', out)
    run_tool('analyze_logits', config, f'a={checkpoint}', '--recalibrate', 0, *where)
    printed = capsys.readouterr().out
    rows = json.loads((out / 'logits.json').read_text())
    assert [(row['network'], row['depths']) for row in rows] == [('a', 'whole'), ('a', '2,1,2,2')]

    files = sorted((data / 'val' / 'n01440764').iterdir())[:3]
    images = [torch.from_numpy(cv2.imread(str(file))).permute(2, 0, 1) for file in files]
    inputs = model.data_preprocessor({'inputs': images})['inputs']
    for row, depths in zip(rows, ((2, 2, 2, 2), (2, 1, 2, 2)), strict=True):
        with active_subnet(model.backbone, depths), torch.no_grad():
            logits = model(inputs, mode='tensor')
        assert row['magnitudes'] == pytest.approx(logits.norm(dim=1).tolist(), rel=1e-4)
        assert row['classes'] == logits.shape[1]
    assert rows[0]['magnitudes'] != rows[1]['magnitudes']
    factor = (999 / (logits.shape[1] - 1)) ** 0.5
    assert f'sqrt(999 / {logits.shape[1] - 1}) = {factor:.3g}' in printed
    assert cv2.imread(str(out / 'logits.png')).std() > 1
    assert (out / 'logits.svg').exists()


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
def test_a_detector_has_no_logits(network, run_tool, tmp_path):
    config, checkpoint, data, _ = network
    where = ('--data-root', data, '--out-dir', tmp_path / 'out', '--depths', '2,1,2,2')
    with pytest.raises(SystemExit, match=r'the model must be a classifier .* got tuple from'):
        run_tool('analyze_logits', config, checkpoint, '--recalibrate', 0, *where)


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--subnets', '0'], '--subnets must be at least 1, got 0'),
        (['--num-images', '0'], '--num-images must be at least 1, got 0'),
        (['--subnets', '2', '--depths', '2,1,2,2'], '--subnets must be left out where --depths'),
    ],
)
def test_wrong_options_are_one_line(network, run_tool, tmp_path, arguments, message):
    config, checkpoint, data, _ = network
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message):
        where = ('--data-root', data, '--out-dir', out)
        run_tool('analyze_logits', config, checkpoint, *arguments, *where)
    assert not out.exists()
