"""Missing data are named before a run is built."""

import pytest
from mmengine.config import Config

from mmst.cli.data_files import check_data_files


def coco(split, root):
    return {
        'type': 'CocoDataset',
        'data_root': str(root),
        'ann_file': f'annotations/instances_{split}2017.json',
        'data_prefix': {'img': f'{split}2017/', 'seg': ''},
        'pipeline': [{'type': 'mmdet.LoadImageFromFile'}],
    }


def config(root):
    return Config(
        {f'{split}_dataloader': {'dataset': coco(split, root)} for split in ('train', 'val')}
    )


@pytest.fixture
def data_root(tmp_path):
    (tmp_path / 'annotations').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'annotations/instances_{split}2017.json').write_text('{}')
        (tmp_path / f'{split}2017').mkdir()
    return tmp_path


def test_data_that_is_there_passes(data_root):
    cfg = config(data_root)
    check_data_files(cfg, ('train_dataloader', 'val_dataloader'))


@pytest.mark.parametrize('missing', ['annotations/instances_val2017.json', 'val2017'])
def test_missing_files_are_named(data_root, missing):
    path = data_root / missing
    path.rmdir() if path.is_dir() else path.unlink()
    cfg = config(data_root)
    check_data_files(cfg, ('train_dataloader',))
    with pytest.raises(
        FileNotFoundError, match=rf'val_dataloader \(CocoDataset\).*{missing}.*--mini'
    ):
        check_data_files(cfg, ('train_dataloader', 'val_dataloader'))


def test_a_missing_file_of_detections_is_named(data_root):
    cfg = config(data_root)
    cfg.val_dataloader.dataset.bbox_file = f'{data_root}/detections/people.json'
    with pytest.raises(
        FileNotFoundError, match=rf'bbox_file of .*{data_root}/detections.*bbox_file=None'
    ):
        check_data_files(cfg, ('val_dataloader',))
    (data_root / 'detections').mkdir()
    (data_root / 'detections/people.json').write_text('[]')
    check_data_files(cfg, ('val_dataloader',))


def test_a_missing_split_of_imagenet_is_named(data_root):
    load = {'type': 'LoadImageFromFile'}
    dataset = {'type': 'ImageNet', 'data_root': str(data_root), 'split': 'val', 'pipeline': [load]}
    cfg = Config({'val_dataloader': {'dataset': dataset}})
    with pytest.raises(FileNotFoundError, match=rf'split of val_dataloader .*{data_root}/val'):
        check_data_files(cfg, ('val_dataloader',))
    (data_root / 'val').mkdir()
    check_data_files(cfg, ('val_dataloader',))


def test_image_folders_are_not_needed_where_no_image_is_loaded(data_root):
    cfg = config(data_root)
    cfg.train_dataloader.dataset.pipeline = [{'type': 'LoadKeypoints'}]
    (data_root / 'train2017').rmdir()
    check_data_files(cfg, ('train_dataloader',))


def test_data_in_a_cloud_is_not_looked_for():
    cfg = config('bucket/coco')
    cfg.train_dataloader.dataset.backend_args = {'backend': 'petrel'}
    check_data_files(cfg, ('train_dataloader',))
