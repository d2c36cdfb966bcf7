"""Config entries that each library's own scripts add."""

import pytest
from mmengine.config import Config

from mmst.config import apply_library_defaults
from mmst.config.library import library_of


def config(scope, **options):
    loader = {'batch_size': 1, 'num_workers': 2}
    return Config(
        {
            'default_scope': scope,
            'model': {'type': 'Model'},
            'train_dataloader': loader,
            'test_dataloader': dict(loader, collate_fn={'type': 'pseudo_collate'}),
            **options,
        }
    )


def test_mmpretrain_loaders_get_their_defaults():
    pytest.importorskip('mmpretrain')
    cfg = apply_library_defaults(config('mmpretrain'))
    assert dict(cfg.train_dataloader) == {
        'batch_size': 1,
        'num_workers': 2,
        'pin_memory': True,
        'persistent_workers': True,
        'collate_fn': {'type': 'default_collate'},
    }
    assert cfg.test_dataloader.collate_fn.type == 'pseudo_collate'


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmpose'])
def test_other_loaders_stay(scope):
    pytest.importorskip(scope)
    cfg = apply_library_defaults(config(scope))
    assert dict(cfg.train_dataloader) == {'batch_size': 1, 'num_workers': 2}


def test_workers_that_do_not_exist_cannot_persist():
    pytest.importorskip('mmdet')
    loader = {'num_workers': 0, 'persistent_workers': True}
    cfg = apply_library_defaults(config('mmdet', train_dataloader=loader))
    assert cfg.train_dataloader.persistent_workers is False


def test_pinning_and_keeping_workers_can_be_switched_off():
    pytest.importorskip('mmpretrain')
    cfg = apply_library_defaults(config('mmpretrain'), pin_memory=False, persistent_workers=False)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.pin_memory is False
        assert loader.persistent_workers is False


def test_mmpose_takes_its_preprocessor_from_the_top_level():
    pytest.importorskip('mmpose')
    preprocessor = {'type': 'PoseDataPreprocessor'}
    cfg = apply_library_defaults(config('mmpose', preprocess_cfg=preprocessor))
    assert dict(cfg.model.data_preprocessor) == preprocessor


@pytest.mark.parametrize('scope', [None, 'mmengine'])
def test_plain_mmengine_needs_no_library(scope):
    assert library_of(Config({'default_scope': scope})).scope == 'mmengine'


def test_an_unknown_scope_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \['mmdet', .*got 'mmyolo'; leave it out"):
        library_of(Config({'default_scope': 'mmyolo'}))


def test_a_library_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'needs mmseg.*pip install -e "\.\[seg\]".*docs/install'):
        library_of(Config({'default_scope': 'mmseg'}))


def test_a_scope_is_no_argument_of_the_collate_function():
    """mmengine writes it there where a config inherits one, and calls the function with it."""
    pytest.importorskip('mmpretrain')
    collate = {'type': 'default_collate', '_scope_': 'mmpretrain'}
    cfg = config('mmpretrain', train_dataloader={'collate_fn': collate})
    apply_library_defaults(cfg)
    assert cfg.train_dataloader.collate_fn == {'type': 'default_collate'}
