"""tools/analyze_erf.py looks at the network of the checkpoint, and at its subnets."""

import csv

import cv2
import pytest
import torch

from mmst.analysis.receptive_field import area_ratio, contribution_scores
from mmst.core import active_subnet, resize_batch

pytestmark = pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)


def test_ratios_are_those_of_the_first_test_images(network, run_tool, tmp_path, capsys):
    config, checkpoint, data, model = network
    out = tmp_path / 'out'
    arguments = ('--depths', '2,1,2,2', '--recalibrate', 0, '--sizes', '64', '48x32')
    where = ('--num-images', 3, '--data-root', data, '--out-dir', out)
    run_tool('analyze_erf', config, f'a={checkpoint}', *arguments, *where)
    printed = capsys.readouterr().out
    assert '4/4' in printed and 'over the area of the input; 3 images' in printed
    with open(out / 'erf.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))

    files = sorted((data / 'val' / 'n01440764').iterdir())[:3]
    images = [torch.from_numpy(cv2.imread(str(file))).permute(2, 0, 1) for file in files]
    inputs = model.data_preprocessor({'inputs': images})['inputs']
    expected = {}
    for depths in ((2, 2, 2, 2), (2, 1, 2, 2)):
        for size in ((64, 64), (48, 32)):
            with active_subnet(model.backbone, depths):
                batches = [resize_batch(inputs, size)]
                scores, _, _ = contribution_scores(model.backbone, batches)
            text = 'whole' if depths == (2, 2, 2, 2) else '2,1,2,2'
            key = (text, str(size[0]), str(size[1]))
            expected[key] = [area_ratio(scores, part) for part in (0.2, 0.5)]
    found = {
        (row['depths'], row['height'], row['width']): [float(row['r_20%']), float(row['r_50%'])]
        for row in rows
    }
    assert found.keys() == expected.keys()
    for key, ratios in expected.items():
        assert found[key] == pytest.approx(ratios), key
    sizes, subnets = (('whole', '48', '32'), ('2,1,2,2', '64', '64'))
    assert found[sizes] != found['whole', '64', '64'] != found[subnets]
    assert cv2.imread(str(out / 'erf.png')).std() > 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--sizes', '64x'], "--sizes must be HEIGHTxWIDTH or SIDE in pixels, got '64x'"),
        (['--num-images', '0'], '--num-images must be at least 1, got 0'),
        (['--depths', '2,x'], '--depths must be positive integers'),
    ],
)
def test_wrong_options_are_refused_before_anything_is_built(
    network, run_tool, tmp_path, arguments, message
):
    config, checkpoint, data, _ = network
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message):
        where = ('--data-root', data, '--out-dir', out)
        run_tool('analyze_erf', config, checkpoint, *arguments, *where)
    assert not out.exists()
