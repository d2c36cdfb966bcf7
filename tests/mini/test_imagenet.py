"""The ImageNet layout is read by mmpretrain with the labels of ImageNet's classes."""

import cv2
import numpy as np
import pytest

from mmst.mini import make_mini_data
from mmst.mini.imagenet import IMAGENET_LABELS
from mmst.mini.portraits import IMAGENET_DRAWINGS, make_imagenet_scene

NUM_TRAIN, NUM_VAL = 17, 3
NAMES = {  # WordNet id -> how mmpretrain's name of the class begins
    'n02708093': 'analog clock',
    'n02802426': 'basketball',
    'n03792782': 'mountain bike',
    'n04404412': 'television',
    'n06794110': 'street sign',
    'n06874185': 'traffic light',
    'n07693725': 'bagel',
    'n07753592': 'banana',
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini') / 'imagenet'
    return make_mini_data('imagenet', folder, num_train=NUM_TRAIN, num_val=NUM_VAL)


def load(root, split):
    datasets = pytest.importorskip('mmpretrain.datasets')
    return datasets.ImageNet(data_root=str(root), split=split, pipeline=[])


def test_files_are_where_imagenet_has_them(root):
    names = {path.name for path in root.iterdir()}
    assert names == {'train', 'val', 'meta', 'mini_data.json'}
    pictures = {
        split: sorted(str(path.relative_to(root / split)) for path in (root / split).rglob('*.*'))
        for split in ('train', 'val')
    }
    assert [len(pictures[split]) for split in ('train', 'val')] == [NUM_TRAIN, NUM_VAL]
    assert pictures['train'][0] == 'n02708093/n02708093_0.JPEG'
    assert pictures['val'][0] == 'n02708093/ILSVRC2012_val_00000001.JPEG'


def test_mmpretrain_reads_it_with_the_labels_of_its_1000_classes(root):
    for split, number in (('train', NUM_TRAIN), ('val', NUM_VAL)):
        dataset = load(root, split)
        assert len(dataset.CLASSES) == 1000
        assert len(dataset) == number
        for index in range(number):
            info = dataset.get_data_info(index)
            wnid = info['img_path'].split('/')[-2]
            assert dataset.CLASSES[info['gt_label']].startswith(NAMES[wnid])


def test_classes_are_those_of_the_scenes(root):
    assert set(NAMES) == set(IMAGENET_LABELS) == set(IMAGENET_DRAWINGS)
    for index in range(NUM_TRAIN):
        wnid = sorted(NAMES)[index % 8]
        scene = make_imagenet_scene((0, 0, index))
        assert [part.category for part in scene.objects] == [wnid]
        image = cv2.imread(str(root / f'train/{wnid}/{wnid}_{index}.JPEG'))
        assert image.shape == scene.image.shape
        assert np.abs(image.astype(float) - scene.image).mean() < 8  # JPEG


def test_the_thing_is_large_and_wholly_visible():
    for index in range(24):
        mask = make_imagenet_scene((0, 0, index)).objects[0].mask
        rows, columns = np.nonzero(mask)
        assert max(np.ptp(rows), np.ptp(columns)) > 0.4 * min(mask.shape)
        assert mask[1:-1, 1:-1].sum() > 0.95 * mask.sum()
