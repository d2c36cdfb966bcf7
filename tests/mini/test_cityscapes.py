"""The Cityscapes layout is read and rated by mmseg, and says what the scenes say."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmst.mini import make_mini_data
from mmst.mini.cityscapes import CITYSCAPES_CLASSES
from mmst.mini.street import make_street_scene

NUM_TRAIN, NUM_VAL = 24, 2


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini') / 'cityscapes'
    return make_mini_data('cityscapes', folder, num_train=NUM_TRAIN, num_val=NUM_VAL)


def load(root, split='train'):
    datasets = pytest.importorskip('mmseg.datasets')
    prefix = dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}')
    return datasets.CityscapesDataset(data_root=str(root), data_prefix=prefix, pipeline=[])


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_files_are_where_cityscapes_has_them(root):
    assert sorted(path.name for path in root.iterdir()) == [
        'gtFine',
        'leftImg8bit',
        'mini_data.json',
    ]
    for split, city, count in (('train', 'aachen', NUM_TRAIN), ('val', 'frankfurt', NUM_VAL)):
        pictures = sorted(path.name for path in (root / f'leftImg8bit/{split}').rglob('*.png'))
        maps = sorted(path.name for path in (root / f'gtFine/{split}').rglob('*.png'))
        assert len(pictures) == count
        assert pictures[0] == f'{city}_000000_000019_leftImg8bit.png'
        assert maps == [name.replace('_leftImg8bit', '_gtFine_labelTrainIds') for name in pictures]


def test_the_splits_share_no_city(root):
    cities = [
        {folder.name for folder in (root / kind / split).iterdir()}
        for kind in ('leftImg8bit', 'gtFine')
        for split in ('train', 'val')
    ]
    assert cities[:2] == cities[2:]
    assert cities[0] and cities[1] and not cities[0] & cities[1]


def test_labels_are_those_of_the_scene(root):
    for index, city in enumerate(('aachen', 'bochum', 'bremen', 'aachen')):
        stem = f'{city}_{index // 3:06d}_000019'
        image = read(root / f'leftImg8bit/train/{city}/{stem}_leftImg8bit.png')
        labels = read(root / f'gtFine/train/{city}/{stem}_gtFine_labelTrainIds.png')
        scene = make_street_scene((0, 0, index))
        np.testing.assert_array_equal(image, scene.image)
        expected = np.full(labels.shape, 255)
        for part in scene.stuff + scene.objects:
            expected[part.mask] = CITYSCAPES_CLASSES.index(part.category)
        np.testing.assert_array_equal(labels, expected)


def test_all_19_classes_appear_and_little_is_unknown(root):
    paths = list((root / 'gtFine/train').rglob('*.png'))
    counts = sum(np.bincount(read(path).ravel(), minlength=256) for path in paths)
    shares = counts / counts.sum()
    assert set(np.flatnonzero(counts)) == {*range(19), 255}
    assert 0.01 < shares[255] < 0.1
    assert shares[CITYSCAPES_CLASSES.index('road')] > 0.15
    assert shares[:19].min() > 0.0005


def test_mmseg_reads_it(root):
    dataset = load(root)
    assert dataset.metainfo['classes'] == CITYSCAPES_CLASSES
    assert len(dataset) == NUM_TRAIN
    assert len(load(root, 'val')) == NUM_VAL
    for sample in dataset:
        assert read(sample['seg_map_path']).shape == read(sample['img_path']).shape[:2]


def rate(root, change):
    """Rates the changed ground truth as if it were predicted."""
    metrics = pytest.importorskip('mmseg.evaluation')
    dataset = load(root)
    evaluator = Evaluator(metrics.IoUMetric())
    evaluator.dataset_meta = dataset.metainfo
    for sample in dataset:
        labels = torch.from_numpy(read(sample['seg_map_path']).astype(np.int64))
        found = {'pred_sem_seg': {'data': change(labels)}, 'gt_sem_seg': {'data': labels}}
        evaluator.process([found])
    return evaluator.evaluate(len(dataset))


def test_the_ground_truth_as_prediction_gets_a_miou_of_100(root):
    # Nobody predicts 255; what is predicted there does not count.
    result = rate(root, lambda labels: labels.where(labels != 255, 0))
    assert result == {'aAcc': 100, 'mIoU': 100, 'mAcc': 100}


def test_a_wrong_label_costs(root):
    car, bus = CITYSCAPES_CLASSES.index('car'), CITYSCAPES_CLASSES.index('bus')
    result = rate(root, lambda labels: labels.where(labels != car, bus))
    assert result['mIoU'] < 97
    assert result['mAcc'] == pytest.approx(100 * 18 / 19, abs=0.01)
