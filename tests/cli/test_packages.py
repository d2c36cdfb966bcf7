"""Packages that a config needs and no library requires are named before a run is built."""

import importlib.util

import pytest
from mmengine.config import Config

from mmst.cli.data_files import check_data_files

ALL = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def train_on(*pipeline):
    return {'train_dataloader': {'dataset': {'type': 'Dataset', 'pipeline': list(pipeline)}}}


NEEDING = [
    (train_on({'type': 'LoadPanopticAnnotations'}), 'panopticapi', 'panopticapi-lite'),
    ({'val_evaluator': {'type': 'mmdet.CocoPanopticMetric'}}, 'panopticapi', 'panopticapi-lite'),
    (
        {'test_evaluator': [{'type': 'CocoMetric'}, {'type': 'CocoPanopticMetric'}]},
        *('panopticapi', 'panopticapi-lite'),
    ),
    (train_on({'type': 'Albumentation'}), 'albumentations', 'albumentations'),
    (
        train_on({'type': 'RandomApply', 'transforms': [{'type': 'mmdet.Albu'}]}),
        *('albumentations', 'albumentations'),
    ),
]


@pytest.fixture
def installed(monkeypatch):
    """Packages that are installed or not, whatever the environment says."""
    packages = {}
    find = importlib.util.find_spec
    monkeypatch.setattr('importlib.util.find_spec', lambda name: packages.get(name, find(name)))
    return packages


@pytest.mark.parametrize(('options', 'package', 'distribution'), NEEDING)
def test_a_missing_package_is_named(installed, options, package, distribution):
    cfg = Config(options)
    installed[package] = object()
    check_data_files(cfg, ALL)
    installed[package] = None
    message = f'needs {package}, which is not installed: pip install {distribution}$'
    with pytest.raises(ImportError, match=message):
        check_data_files(cfg, ALL)


def test_what_only_training_needs_may_be_missing_in_a_test(installed):
    installed['albumentations'] = None
    cfg = Config(train_on({'type': 'Albumentation'}))
    check_data_files(cfg, ('test_dataloader',))
    with pytest.raises(ImportError, match='^Albumentation of this config'):
        check_data_files(cfg, ('train_dataloader',))
