"""--data-root: the same data at another place."""

import pytest
from mmengine.config import Config

from mmst.config import check_data_files, set_data_root

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


@pytest.fixture
def data_root(tmp_path):
    (tmp_path / 'annotations').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'annotations/instances_{split}2017.json').write_text('{}')
        (tmp_path / f'{split}2017').mkdir()
    return tmp_path


def test_datasets_evaluators_and_their_files_move(data_root):
    cfg = set_data_root(config(), data_root)
    train = cfg.train_dataloader.dataset
    assert train.data_root == f'{data_root}/'
    assert train.ann_file == 'annotations/instances_train2017.json'
    assert train.pipeline[0].proposals == f'{data_root}/proposals/train.pkl'
    assert cfg.val_evaluator.ann_file == f'{data_root}/annotations/instances_val2017.json'
    assert cfg.test_evaluator[0].seg_prefix == f'{data_root}/annotations/panoptic'
    assert cfg.data_root == f'{data_root}/'
    assert cfg.train_dataloader.batch_size == 2


def test_only_whole_folder_names_match(data_root):
    cfg = set_data_root(config(), data_root)
    assert dict(cfg.test_evaluator[1]) == {
        'type': 'Other',
        'file': 'data/coco_extra/x.json',
        'name': 'data',
    }


def test_datasets_inside_wrappers_move(data_root):
    nested = {
        'type': 'RepeatDataset',
        'dataset': {'type': 'ConcatDataset', 'datasets': [coco('train'), coco('val', 'data/coco')]},
    }
    cfg = set_data_root(config(train=nested), data_root)
    parts = cfg.train_dataloader.dataset.dataset.datasets
    assert [part.data_root.rstrip('/') for part in parts] == [str(data_root)] * 2


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'--data-root must be an existing folder.*nothing'):
        set_data_root(config(), tmp_path / 'nothing')


def test_several_data_roots_are_refused(data_root):
    with pytest.raises(ValueError, match=r"one data_root.*'data/aic', 'data/coco'.*--cfg-options"):
        set_data_root(config(val=coco('val', 'data/aic/')), data_root)


def test_datasets_without_a_data_root_are_refused(data_root):
    bare = {'type': 'Dataset'}
    with pytest.raises(ValueError, match=r'needs datasets with a data_root'):
        set_data_root(config(bare, bare), data_root)


def test_data_that_is_there_passes(data_root):
    cfg = set_data_root(config(), data_root)
    check_data_files(cfg, ('train_dataloader', 'val_dataloader'))


@pytest.mark.parametrize('missing', ['annotations/instances_val2017.json', 'val2017'])
def test_missing_files_are_named(data_root, missing):
    path = data_root / missing
    path.rmdir() if path.is_dir() else path.unlink()
    cfg = set_data_root(config(), data_root)
    check_data_files(cfg, ('train_dataloader',))
    with pytest.raises(
        FileNotFoundError, match=rf'val_dataloader \(CocoDataset\).*{missing}.*--mini'
    ):
        check_data_files(cfg, ('train_dataloader', 'val_dataloader'))


def test_a_missing_file_of_detections_is_named(data_root):
    cfg = config()
    cfg.val_dataloader.dataset.bbox_file = 'data/coco/detections/people.json'
    set_data_root(cfg, data_root)
    with pytest.raises(
        FileNotFoundError, match=rf'bbox_file of .*{data_root}/detections.*bbox_file=None'
    ):
        check_data_files(cfg, ('val_dataloader',))
    (data_root / 'detections').mkdir()
    (data_root / 'detections/people.json').write_text('[]')
    check_data_files(cfg, ('val_dataloader',))


def test_a_missing_split_of_imagenet_is_named(data_root):
    load = {'type': 'LoadImageFromFile'}
    dataset = {'type': 'ImageNet', 'data_root': 'data/imagenet', 'split': 'val', 'pipeline': [load]}
    cfg = set_data_root(config(dataset, dataset), data_root)
    with pytest.raises(FileNotFoundError, match=rf'split of val_dataloader .*{data_root}/val'):
        check_data_files(cfg, ('val_dataloader',))
    (data_root / 'val').mkdir()
    check_data_files(cfg, ('val_dataloader',))


def test_image_folders_are_not_needed_where_no_image_is_loaded(data_root):
    cfg = set_data_root(config(), data_root)
    cfg.train_dataloader.dataset.pipeline = [{'type': 'LoadKeypoints'}]
    (data_root / 'train2017').rmdir()
    check_data_files(cfg, ('train_dataloader',))


def test_data_in_a_cloud_is_not_looked_for():
    cfg = config(train={**coco('train'), 'backend_args': {'backend': 'petrel'}})
    check_data_files(cfg, ('train_dataloader',))
