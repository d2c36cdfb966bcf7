"""--data-root: the same data at another place."""

import pytest
from mmengine.config import Config

from mmst.config import set_data_root

OLD = 'data/coco/'


def coco(split, root=OLD):
    return {
        'type': 'CocoDataset',
        'data_root': root,
        'ann_file': f'annotations/instances_{split}2017.json',
        'data_prefix': {'img': f'{split}2017/', 'seg': ''},
        'pipeline': [
            {
                'type': 'mmdet.LoadImageFromFile',
                'proposals': f'{OLD}proposals/{split}.pkl',
                'scale': 2,
            }
        ],
    }


def config(train=None, val=None):
    return Config(
        {
            'data_root': OLD,
            'train_dataloader': {'batch_size': 2, 'dataset': train or coco('train')},
            'val_dataloader': {'dataset': val or coco('val')},
            'val_evaluator': {
                'type': 'CocoMetric',
                'ann_file': OLD + 'annotations/instances_val2017.json',
            },
            'test_evaluator': [
                {'type': 'CocoPanopticMetric', 'seg_prefix': 'data/coco/annotations/panoptic'},
                {'type': 'Other', 'file': 'data/coco_extra/x.json', 'name': 'data'},
            ],
        }
    )


def test_datasets_evaluators_and_their_files_move(tmp_path):
    cfg = set_data_root(config(), tmp_path)
    train = cfg.train_dataloader.dataset
    assert train.data_root == f'{tmp_path}/'
    assert train.ann_file == 'annotations/instances_train2017.json'
    assert train.pipeline[0].proposals == f'{tmp_path}/proposals/train.pkl'
    assert cfg.val_evaluator.ann_file == f'{tmp_path}/annotations/instances_val2017.json'
    assert cfg.test_evaluator[0].seg_prefix == f'{tmp_path}/annotations/panoptic'
    assert cfg.data_root == f'{tmp_path}/'
    assert cfg.train_dataloader.batch_size == 2


def test_only_whole_folder_names_match(tmp_path):
    cfg = set_data_root(config(), tmp_path)
    assert dict(cfg.test_evaluator[1]) == {
        'type': 'Other',
        'file': 'data/coco_extra/x.json',
        'name': 'data',
    }


def test_datasets_inside_wrappers_move(tmp_path):
    nested = {
        'type': 'RepeatDataset',
        'dataset': {'type': 'ConcatDataset', 'datasets': [coco('train'), coco('val', 'data/coco')]},
    }
    cfg = set_data_root(config(train=nested), tmp_path)
    parts = cfg.train_dataloader.dataset.dataset.datasets
    assert [part.data_root.rstrip('/') for part in parts] == [str(tmp_path)] * 2


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'--data-root must be an existing folder.*nothing'):
        set_data_root(config(), tmp_path / 'nothing')


def test_several_data_roots_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one data_root.*'data/aic', 'data/coco'.*--cfg-options"):
        set_data_root(config(val=coco('val', 'data/aic/')), tmp_path)


def test_datasets_without_a_data_root_are_refused(tmp_path):
    bare = {'type': 'Dataset'}
    with pytest.raises(ValueError, match=r'needs datasets with a data_root'):
        set_data_root(config(bare, bare), tmp_path)
