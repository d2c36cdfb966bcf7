"""Files that a test writes."""

import pytest
from mmengine.config import Config

from mmst.cli.output import set_output


def config(scope='mmengine'):
    return Config({'default_scope': scope, 'test_evaluator': {'type': 'Metric'}})


@pytest.mark.parametrize(
    ('out', 'item', 'dump', 'metrics', 'predictions'),
    [
        (None, None, None, None, ()),
        ('a.pkl', None, None, None, ('a.pkl',)),
        ('a.pkl', 'pred', 'b.pkl', None, ('a.pkl', 'b.pkl')),
        ('a.pkl', 'metrics', None, 'a.pkl', ()),
        ('a.json', None, 'b.pickle', 'a.json', ('b.pickle',)),
    ],
)
def test_the_ending_says_what_is_written(out, item, dump, metrics, predictions):
    output = set_output(config(), out, item, dump)
    assert (output.metrics, output.predictions) == (metrics, predictions)


def test_mmpose_writes_metrics_unless_told_otherwise():
    pytest.importorskip('mmpose')
    for item, metrics, predictions in [(None, 'a.pkl', ()), ('pred', None, ('a.pkl',))]:
        output = set_output(config('mmpose'), 'a.pkl', item)
        assert (output.metrics, output.predictions) == (metrics, predictions)


def test_mmseg_writes_maps_into_a_folder():
    pytest.importorskip('mmseg')
    cfg = config('mmseg')
    output = set_output(cfg, 'maps')
    assert cfg.test_evaluator.output_dir == 'maps'
    assert (output.metrics, output.predictions) == (None, ())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('maps',), r"--out must end in .*got 'maps'; only mmseg"),
        (('a.txt',), r"--out must end in .*got 'a\.txt'"),
        (('a.json', 'pred'), r"--out must end in .*got 'a\.json'"),
        ((None, None, 'a.json'), r"--dump must end in \.pkl or \.pickle, got 'a\.json'"),
        ((None, 'pred'), r'--out-item pred needs --out'),
    ],
)
def test_an_unfit_ending_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        set_output(config(), *arguments)
