"""The panoptic layout is read and rated by mmdet, and says what the scenes say."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmst.mini import make_mini_data
from mmst.mini.coco_categories import PANOPTIC_CATEGORIES
from mmst.mini.objects import make_object_scene

NUM_TRAIN, NUM_VAL = 12, 2  # of each 16 indices, 5 has a crowd and 11 nothing
NAMES = tuple(category['name'] for category in PANOPTIC_CATEGORIES)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini') / 'coco_panoptic'
    return make_mini_data('coco_panoptic', folder, num_train=NUM_TRAIN, num_val=NUM_VAL)


@pytest.fixture(scope='module')
def content(root):
    return json.loads((root / 'annotations/panoptic_train2017.json').read_text())


def segment_ids(root, file_name):
    blue, green, red = cv2.imread(str(root / 'annotations/panoptic_train2017' / file_name)).T
    return (red.astype(int) + 256 * green.astype(int) + 256**2 * blue.astype(int)).T


def test_files_are_where_coco_has_them(root):
    assert sorted(path.name for path in (root / 'annotations').iterdir()) == [
        'instances_train2017.json',
        'instances_val2017.json',
        'panoptic_train2017',
        'panoptic_train2017.json',
        'panoptic_val2017',
        'panoptic_val2017.json',
    ]
    for split in ('train', 'val'):
        pictures = sorted(path.stem for path in (root / f'{split}2017').glob('*.jpg'))
        maps = sorted(path.stem for path in (root / f'annotations/panoptic_{split}2017').iterdir())
        assert len(pictures) == {'train': NUM_TRAIN, 'val': NUM_VAL}[split]
        assert maps == pictures


def test_records_have_exactly_the_keys_of_coco(content):
    assert set(content) == {'info', 'licenses', 'images', 'annotations', 'categories'}
    assert len(content['annotations']) == len(content['images']) == NUM_TRAIN
    for image, annotation in zip(content['images'], content['annotations'], strict=True):
        assert set(annotation) == {'segments_info', 'file_name', 'image_id'}
        assert annotation['image_id'] == image['id']
        assert annotation['file_name'] == image['file_name'].replace('jpg', 'png')
        for segment in annotation['segments_info']:
            assert set(segment) == {'id', 'category_id', 'iscrowd', 'bbox', 'area'}


def test_categories_are_the_official_ones(content):
    metainfo = pytest.importorskip('mmdet.datasets').CocoPanopticDataset.METAINFO
    assert content['categories'] == list(PANOPTIC_CATEGORIES)
    assert metainfo['classes'] == NAMES
    things = tuple(entry['name'] for entry in PANOPTIC_CATEGORIES if entry['isthing'])
    assert metainfo['thing_classes'] == things
    ids = {entry['name']: entry['id'] for entry in PANOPTIC_CATEGORIES}
    assert (ids['toothbrush'], ids['banner'], ids['snow'], ids['rug-merged']) == (90, 92, 159, 200)


def test_segments_are_the_visible_parts_of_the_scene(root, content):
    names = {entry['id']: entry['name'] for entry in content['categories']}
    crowds = things = 0
    for index, annotation in enumerate(content['annotations']):
        ids = segment_ids(root, annotation['file_name'])
        scene = make_object_scene((0, 0, index))
        parts = scene.objects + scene.stuff
        for part, segment in zip(parts, annotation['segments_info'], strict=True):
            np.testing.assert_array_equal(ids == segment['id'], part.mask)
            assert names[segment['category_id']] == part.category
            assert segment['iscrowd'] == part.crowd
            assert segment['area'] == part.mask.sum()
            ys, xs = np.nonzero(part.mask)
            x, y, width, height = segment['bbox']
            assert (x, y) == (xs.min(), ys.min())
            assert (x + width - 1, y + height - 1) == (xs.max(), ys.max())
        crowds += sum(part.crowd for part in parts)
        things += len(scene.objects)
        assert len(np.unique(ids)) == len(parts)
    assert crowds == 1
    assert things > 20


def test_ids_use_all_three_colours(content):
    ids = [segment['id'] for a in content['annotations'] for segment in a['segments_info']]
    for shift in (0, 8, 16):
        assert any((segment_id >> shift) % 256 for segment_id in ids)
    assert max(ids) < 256**3


def load(root):
    """Reads the data with mmdet; returns the dataset and its samples with all annotations."""
    pytest.importorskip('panopticapi')
    datasets = pytest.importorskip('mmdet.datasets')
    dataset = datasets.CocoPanopticDataset(
        ann_file='annotations/panoptic_train2017.json',
        data_root=str(root),
        data_prefix=dict(img='train2017/', seg='annotations/panoptic_train2017/'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadPanopticAnnotations')],
    )
    return dataset, [dataset[index] for index in range(len(dataset))]


def test_mmdet_reads_it(root):
    dataset, samples = load(root)
    assert dataset.metainfo['classes'] == NAMES
    assert len(samples) == NUM_TRAIN
    for index, sample in enumerate(samples):
        scene = make_object_scene((0, 0, index))
        objects = [obj for obj in scene.objects if not obj.crowd]
        assert [NAMES[label] for label in sample['gt_bboxes_labels']] == [
            obj.category for obj in objects
        ]
        assert len(sample['gt_masks']) == len(objects)
        for mask, obj in zip(sample['gt_masks'].masks, objects, strict=True):
            np.testing.assert_array_equal(mask.astype(bool), obj.mask)
        for part in scene.stuff:
            assert (sample['gt_seg_map'][part.mask] == NAMES.index(part.category)).all()


def rate(root, relabel=lambda label: label):
    """Rates the ground truth, with changed labels, as if it were predicted."""
    dataset, samples = load(root)
    metrics = pytest.importorskip('mmdet.evaluation')
    metric = metrics.CocoPanopticMetric(
        ann_file=str(root / 'annotations/panoptic_train2017.json'),
        seg_prefix=str(root / 'annotations/panoptic_train2017'),
    )
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for sample in samples:
        predicted = np.vectorize(relabel)(sample['gt_seg_map']).astype(np.int64)
        for number, mask in enumerate(sample['gt_masks'].masks, start=1):
            predicted[mask > 0] += number * metrics.INSTANCE_OFFSET
        found = {'sem_seg': torch.from_numpy(predicted)[None]}
        sizes = {'ori_shape': sample['ori_shape'], 'img_path': sample['img_path']}
        evaluator.process([{**sizes, 'img_id': sample['img_id'], 'pred_panoptic_seg': found}])
    return evaluator.evaluate(len(samples))


def test_the_ground_truth_as_prediction_gets_a_pq_of_100(root):
    result = rate(root)
    for name in ('PQ', 'SQ', 'RQ', 'PQ_th', 'PQ_st'):
        assert result[f'coco_panoptic/{name}'] == pytest.approx(100)


def test_a_wrong_label_costs(root):
    clock, tv = NAMES.index('clock'), NAMES.index('tv')
    result = rate(root, lambda label: tv if label == clock else label)
    assert result['coco_panoptic/PQ_th'] < 90
    assert result['coco_panoptic/PQ_st'] == pytest.approx(100)
