"""Drawn predictions and test-time augmentation."""

import pytest
from mmengine.config import Config

from mmst.config import enable_tta, set_visualization


def config(scope='mmengine', **options):
    return Config({'default_scope': scope, 'test_evaluator': {'type': 'Metric'}, **options})


def drawing(scope, hook):
    cfg = config(scope, default_hooks={'visualization': {'type': hook}}, visualizer={'type': 'V'})
    return set_visualization(cfg, show=True, show_dir='drawn', wait_time=3, interval=7)


def test_mmdet_draws():
    pytest.importorskip('mmdet')
    assert dict(drawing('mmdet', 'DetVisualizationHook').default_hooks.visualization) == {
        'type': 'DetVisualizationHook',
        'draw': True,
        'show': True,
        'wait_time': 3,
        'test_out_dir': 'drawn',
    }


def test_mmseg_draws():
    pytest.importorskip('mmseg')
    cfg = drawing('mmseg', 'SegVisualizationHook')
    assert cfg.default_hooks.visualization.draw is True
    assert cfg.visualizer.save_dir == 'drawn'


@pytest.mark.parametrize('scope', ['mmpose', 'mmpretrain'])
def test_mmpose_and_mmpretrain_draw(scope):
    pytest.importorskip(scope)
    assert dict(drawing(scope, 'Hook').default_hooks.visualization) == {
        'type': 'Hook',
        'enable': True,
        'interval': 7,
        'show': True,
        'wait_time': 3,
        'out_dir': 'drawn',
    }


def test_drawing_needs_a_hook():
    with pytest.raises(ValueError, match=r'need default_hooks\.visualization'):
        set_visualization(config(), show=True, show_dir=None, wait_time=1)


def tta_config(scope, **options):
    pipeline = [{'type': 'Load'}, {'type': 'Pack', 'keys': 1}]
    loader = {'dataset': {'type': 'Wrapper', 'dataset': {'type': 'Data', 'pipeline': pipeline}}}
    return config(scope, model={'type': 'M'}, test_dataloader=loader, **options)


def test_mmdet_has_default_test_time_augmentation():
    pytest.importorskip('mmdet')
    cfg = enable_tta(tta_config('mmdet'))
    assert cfg.model.type == 'DetTTAModel'
    assert dict(cfg.model.module) == {'type': 'M'}
    load, augment = cfg.test_dataloader.dataset.dataset.pipeline
    assert (load.type, augment.type) == ('Load', 'TestTimeAug')
    assert augment.transforms[1][0].type == 'mmdet.PackDetInputs'


def test_mmpretrain_flips_and_packs_as_before():
    pytest.importorskip('mmpretrain')
    cfg = enable_tta(tta_config('mmpretrain'))
    flips, pack = cfg.test_dataloader.dataset.dataset.pipeline[-1].transforms
    assert [flip.prob for flip in flips] == [1.0, 0.0]
    assert dict(pack[0]) == {'type': 'Pack', 'keys': 1}


def test_augmentation_of_the_config_is_used():
    own = {'tta_model': {'type': 'T'}, 'tta_pipeline': [{'type': 'Own'}]}
    cfg = enable_tta(tta_config('mmengine', **own))
    assert cfg.model.type == 'T'
    assert [dict(t) for t in cfg.test_dataloader.dataset.dataset.pipeline] == [{'type': 'Own'}]


def test_augmentation_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r'--tta needs tta_model and tta_pipeline'):
        enable_tta(tta_config('mmengine'))


def test_augmentation_without_test_data_is_refused():
    with pytest.raises(ValueError, match=r'--tta needs a test_dataloader'):
        enable_tta(config())
