"""CIFAR as folders of images: which configs read them, and that the network sees the same."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmst.config import read_image_folders, set_data_root

CONFIG = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'


@pytest.fixture
def root(tmp_path):
    """Pure red ships, and a blue truck."""
    for split in ('train', 'test'):
        for name, bgr in (('ship', (0, 0, 255)), ('truck', (255, 0, 0))):
            (tmp_path / split / name).mkdir(parents=True)
            image = np.full((32, 32, 3), bgr, np.uint8)
            cv2.imwrite(str(tmp_path / split / name / '0001.png'), image)
    return tmp_path


def loaders(cfg):
    return [cfg[f'{name}_dataloader'].dataset for name in ('train', 'val', 'test')]


def test_upstreams_config_trains_on_folders(root):
    utils = pytest.importorskip('mmpretrain.utils')
    utils.register_all_modules(init_default_scope=False)
    cfg = set_data_root(get_config(CONFIG), root)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        train, val, test = (DATASETS.build(dataset) for dataset in loaders(cfg))
        preprocessor = MODELS.build(dict(cfg.data_preprocessor, type='ClsDataPreprocessor'))
    assert [dataset.img_prefix for dataset in (train, val, test)] == [
        f'{root}/{split}' for split in ('train', 'test', 'test')
    ]
    ship = val[0]
    assert (len(train), ship['data_samples'].gt_label.item()) == (2, 0)
    batch = {'inputs': [ship['inputs']], 'data_samples': [ship['data_samples']]}
    seen = preprocessor(batch)['inputs'][0].mean(dim=(1, 2))
    mean, std = (torch.tensor(cfg.data_preprocessor[key]) for key in ('mean', 'std'))
    torch.testing.assert_close(seen, (torch.tensor([255.0, 0, 0]) - mean) / std)  # RGB: red


def test_options_of_cifar_go_and_others_stay(root):
    own = {
        'type': 'mmpretrain.CIFAR100',
        'data_root': str(root),
        'split': 'test',
        'download': False,
    }
    model = {'data_preprocessor': {'to_rgb': False}}
    kept = {'pipeline': [{'type': 'PackInputs'}], 'indices': 3}
    cfg = Config(
        {'val_dataloader': {'dataset': {**own, 'download': False, **kept}}, 'model': model}
    )
    assert read_image_folders(cfg) is cfg
    assert cfg.val_dataloader.dataset.to_dict() == {
        'type': 'mmpretrain.CustomDataset',
        'data_root': str(root),
        'data_prefix': 'test',
        'pipeline': [{'type': 'mmpretrain.LoadImageFromFile'}, {'type': 'PackInputs'}],
        'indices': 3,
    }
    assert cfg.model.data_preprocessor.to_rgb is True
    before = cfg.to_dict()
    assert read_image_folders(cfg).to_dict() == before


@pytest.mark.parametrize('case', ['pickles', 'nothing', 'another type', 'another library'])
def test_other_configs_stay(root, case):
    cfg = get_config(CONFIG)
    if case == 'pickles':
        (root / 'cifar-10-batches-py').mkdir()
    elif case == 'nothing':
        for split in ('train', 'test'):
            (root / split).rename(root / f'no_{split}')
    else:
        for dataset in loaders(cfg):
            dataset.type = {'another type': 'MNIST', 'another library': 'mine.CIFAR10'}[case]
    types = [dataset.type for dataset in loaders(cfg)]
    cfg = set_data_root(cfg, root)
    assert [dataset.type for dataset in loaders(cfg)] == types
    assert cfg.data_preprocessor.to_rgb is False
