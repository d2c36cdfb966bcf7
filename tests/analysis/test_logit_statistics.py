"""Statistics of logits are those of the definitions, and the figure draws them."""

import csv
import json

import numpy as np
import pytest
import torch
from pictures import labelled

from mmst.analysis.logit_plot import BINS, plot_logits
from mmst.analysis.logit_statistics import (
    LogitStatistics,
    matching_amplitude,
    write_csv,
    write_json,
)
from mmst.core import normalize_logits


@pytest.fixture
def statistics():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 10, generator=generator)
    return [
        LogitStatistics('plain', None, 3 * logits),
        LogitStatistics('plain', (1, 2), logits + 1),
    ]


def test_scales_are_what_layer_normalisation_divides_by(statistics):
    for one in statistics:
        centred = one.logits - one.logits.mean(1, keepdim=True)
        normalised = normalize_logits(one.logits, 'layer_norm')
        torch.testing.assert_close(centred / one.scales[:, None], normalised, rtol=1e-5, atol=1e-5)
        unit = normalize_logits(one.logits, 'l2')
        torch.testing.assert_close(one.logits / one.magnitudes[:, None], unit)


@pytest.mark.parametrize('num_classes', [2, 10, 100, 1000])
def test_the_amplitude_gives_the_largest_logit_of_1000_classes(num_classes):
    """One class against all others: the largest value that normalised logits can have."""
    extreme = torch.nn.functional.one_hot(torch.tensor([0]), num_classes).double()
    largest = normalize_logits(extreme, amplitude=matching_amplitude(num_classes), eps=1e-12).max()
    assert largest.item() == pytest.approx(999**0.5, rel=1e-6)


def test_one_class_has_no_amplitude():
    with pytest.raises(ValueError, match='num_classes must be at least 2, got 1'):
        matching_amplitude(1)


def test_files_hold_the_statistics(statistics, tmp_path):
    write_csv(statistics, tmp_path / 'logits.csv')
    write_json(statistics, tmp_path / 'logits.json')
    with open(tmp_path / 'logits.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [(row['depths'], row['images'], row['classes']) for row in rows] == [
        ('whole', '200', '10'),
        ('1,2', '200', '10'),
    ]
    norms = np.linalg.norm(statistics[1].logits.numpy(), axis=1)
    assert float(rows[1]['magnitude_mean']) == pytest.approx(norms.mean())
    assert float(rows[1]['magnitude_95%']) == pytest.approx(np.quantile(norms, 0.95), rel=1e-5)
    content = json.loads((tmp_path / 'logits.json').read_text())
    spread = statistics[0].logits.numpy().std(axis=1)
    assert content[0]['scales'] == pytest.approx(spread.tolist(), rel=1e-5)
    assert content[0]['scale_std'] == pytest.approx(spread.std(), rel=1e-5)


def test_the_figure_shows_the_share_of_images(statistics, tmp_path, saved_figures):
    plot_logits(statistics, tmp_path / 'logits.png')
    left, right = saved_figures['logits.png'].axes
    assert left.get_ylabel() == 'images (%)'
    for axis, name in ((left, 'magnitudes'), (right, 'scales')):
        drawn = labelled(axis)
        assert list(drawn) == ['plain, whole', 'plain, 1,2']
        for one, stairs in zip(statistics, drawn.values(), strict=True):
            shares, edges, _ = stairs.get_data()
            assert len(shares) == BINS
            expected = np.histogram(getattr(one, name).numpy(), edges)[0] / 2
            assert shares.tolist() == expected.tolist()
            assert sum(shares) == pytest.approx(100)
