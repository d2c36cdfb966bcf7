"""The keypoint layout is read and rated by mmpose, and says what the scenes say."""

import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator

from mmst.mini import make_mini_data
from mmst.mini.figure import KEYPOINTS
from mmst.mini.people import make_people_scene

NUM_TRAIN, NUM_VAL = 16, 6  # of each 16 indices, 5 has a crowd and 11 nothing


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini') / 'coco_keypoints'
    return make_mini_data('coco_keypoints', folder, num_train=NUM_TRAIN, num_val=NUM_VAL)


def read(root, split):
    return json.loads((root / f'annotations/person_keypoints_{split}2017.json').read_text())


def detections(root):
    folder = root / 'person_detection_results'
    return json.loads((folder / 'COCO_val2017_detections_AP_H_56_person.json').read_text())


def people(split, count):
    """The people that the pictures show, crowds left out."""
    scenes = [make_people_scene((0, split, index)) for index in range(count)]
    objects = [obj for scene in scenes for obj in scene.objects if obj.category == 'person']
    return [obj for obj in objects if not obj.crowd]


def test_files_are_where_coco_has_them(root):
    assert sorted(path.name for path in (root / 'annotations').iterdir()) == [
        'person_keypoints_train2017.json',
        'person_keypoints_val2017.json',
    ]
    for split, count in (('train', NUM_TRAIN), ('val', NUM_VAL)):
        names = sorted(path.name for path in (root / f'{split}2017').iterdir())
        assert names == [image['file_name'] for image in read(root, split)['images']]
        assert len(names) == count


@pytest.mark.parametrize('split', ['train', 'val'])
def test_records_have_exactly_the_keys_of_coco(root, split):
    content = read(root, split)
    (category,) = content['categories']
    assert (category['id'], category['name'], len(category['skeleton'])) == (1, 'person', 19)
    assert category['keypoints'] == list(KEYPOINTS)
    assert content['annotations']
    keys = {'segmentation', 'area', 'iscrowd', 'image_id', 'bbox', 'category_id', 'id'}
    for record in content['annotations']:
        assert set(record) == keys | {'num_keypoints', 'keypoints'}
        assert record['category_id'] == 1


def test_keypoints_are_those_of_the_scene(root):
    records = [record for record in read(root, 'train')['annotations'] if not record['iscrowd']]
    drawn = people(0, NUM_TRAIN)
    assert len(records) == len(drawn) > 15
    for record, person in zip(records, drawn, strict=True):
        keypoints = np.reshape(record['keypoints'], (17, 3))
        np.testing.assert_array_equal(keypoints[:, 2], person.keypoints[:, 2])
        np.testing.assert_allclose(keypoints[:, :2], person.keypoints[:, :2], atol=0.5)
        assert record['num_keypoints'] == (keypoints[:, 2] > 0).sum()
        assert not keypoints[keypoints[:, 2] == 0].any()
        assert 0.9 < record['area'] / person.mask.sum() < 1.1


def test_visible_joints_are_on_the_person_and_some_are_hidden_or_missing():
    seen = []
    for person in people(0, NUM_TRAIN):
        for x, y, visibility in np.round(person.keypoints).astype(int):
            if visibility == 2:
                assert person.mask[y, x]
        seen += person.keypoints[:, 2].tolist()
    assert seen.count(2) > 10 * seen.count(1) > 0
    assert 0 < seen.count(0) < seen.count(2) / 2


def test_crowds_have_no_keypoints(root):
    crowds = [record for record in read(root, 'train')['annotations'] if record['iscrowd']]
    assert len(crowds) == 1
    assert crowds[0]['num_keypoints'] == 0
    assert crowds[0]['keypoints'] == [0] * 51


def test_detections_find_all_people_and_a_little_more(root):
    found = detections(root)
    sure = [detection for detection in found if detection['score'] > 0.5]
    records = [record for record in read(root, 'val')['annotations'] if not record['iscrowd']]
    assert len(sure) == len(records) > 5
    for detection, record in zip(sure, records, strict=True):
        assert detection['image_id'] == record['image_id']
        assert 0.7 < overlap(detection['bbox'], record['bbox']) < 1
    assert len(found) == len(sure) + NUM_VAL


def overlap(first, second):
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(np.add(first[:2], first[2:]), np.add(second[:2], second[2:]))
    common = np.prod(np.maximum(high - low, 0))
    return common / (np.prod(first[2:]) + np.prod(second[2:]) - common)


def load(root, split, **options):
    datasets = pytest.importorskip('mmpose.datasets.datasets')
    return datasets.CocoDataset(
        ann_file=f'annotations/person_keypoints_{split}2017.json',
        data_root=str(root),
        data_prefix=dict(img=f'{split}2017/'),
        pipeline=[],
        **options,
    )


def test_mmpose_reads_it(root):
    dataset, drawn = load(root, 'train'), people(0, NUM_TRAIN)
    names = sorted(dataset.metainfo['keypoint_id2name'].items())
    assert tuple(name for _, name in names) == KEYPOINTS
    assert len(dataset) == len(drawn)
    for sample, person in zip(dataset, drawn, strict=True):
        np.testing.assert_allclose(sample['keypoints'][0], person.keypoints[:, :2], atol=0.5)
        labelled = person.keypoints[:, 2] > 0
        np.testing.assert_array_equal(sample['keypoints_visible'][0], labelled)


def test_mmpose_reads_the_detections(root):
    path = root / 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
    dataset = load(root, 'val', bbox_file=str(path), test_mode=True)
    assert len(dataset) == len(detections(root))
    assert all(sample['img_path'].endswith('.jpg') for sample in dataset)


def rate(root, shift_px):
    """Rates the ground truth, moved to the right, as if it were predicted."""
    metrics = pytest.importorskip('mmpose.evaluation.metrics')
    dataset = load(root, 'train', test_mode=True)
    metric = metrics.CocoMetric(ann_file=str(root / 'annotations/person_keypoints_train2017.json'))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for sample in dataset:
        found = {
            'keypoints': sample['keypoints'] + np.array([shift_px, 0]),
            'keypoint_scores': np.ones((1, 17)),
        }
        given = {'bbox_scores': np.ones(1), 'bbox_scales': np.full((1, 2), 100.0)}
        evaluator.process(
            [
                {
                    'id': sample['id'],
                    'img_id': sample['img_id'],
                    'pred_instances': found,
                    'gt_instances': given,
                }
            ]
        )
    return evaluator.evaluate(len(dataset))


def test_the_ground_truth_as_prediction_gets_an_ap_of_1(root):
    result = rate(root, shift_px=0)
    assert result['coco/AP'] == pytest.approx(1)
    assert result['coco/AR'] == pytest.approx(1)


def test_shifted_keypoints_cost(root):
    result = rate(root, shift_px=6)
    assert result['coco/AP'] < 0.7
    assert result['coco/AR'] < 0.7
