"""The COCO layout is read by COCO's own tools, and says what the scenes say."""

import json

import numpy as np
import pytest

from mmst.mini import make_mini_data
from mmst.mini.coco import encode_rle, trace_polygons
from mmst.mini.coco_categories import COCO_CATEGORIES
from mmst.mini.objects import make_object_scene

NUM_TRAIN, NUM_VAL = 16, 3


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini') / 'coco'
    return make_mini_data('coco', folder, num_train=NUM_TRAIN, num_val=NUM_VAL)


@pytest.fixture(scope='module')
def coco(root):
    api = pytest.importorskip('pycocotools.coco')
    return api.COCO(str(root / 'annotations/instances_train2017.json'))


def test_files_are_where_coco_has_them(root):
    assert sorted(path.name for path in (root / 'annotations').iterdir()) == [
        'instances_train2017.json',
        'instances_val2017.json',
    ]
    names = sorted(path.name for path in (root / 'train2017').iterdir())
    assert names == [f'{number:012d}.jpg' for number in range(1, NUM_TRAIN + 1)]
    assert len(list((root / 'val2017').iterdir())) == NUM_VAL


@pytest.mark.parametrize('split', ['train', 'val'])
def test_records_have_exactly_the_keys_of_coco(root, split):
    content = json.loads((root / f'annotations/instances_{split}2017.json').read_text())
    assert set(content) == {'info', 'licenses', 'images', 'annotations', 'categories'}
    assert content['annotations']
    for image in content['images']:
        assert set(image) == {
            'license',
            'file_name',
            'coco_url',
            'height',
            'width',
            'date_captured',
            'flickr_url',
            'id',
        }
        assert (root / f'{split}2017' / image['file_name']).exists()
    for annotation in content['annotations']:
        assert set(annotation) == {
            'segmentation',
            'area',
            'iscrowd',
            'image_id',
            'bbox',
            'category_id',
            'id',
        }


def test_the_splits_share_no_id(root):
    ids = {'images': [], 'annotations': []}
    for split in ('train', 'val'):
        content = json.loads((root / f'annotations/instances_{split}2017.json').read_text())
        for kind, seen in ids.items():
            seen += [record['id'] for record in content[kind]]
    for seen in ids.values():
        assert len(set(seen)) == len(seen) > 0


def test_categories_are_the_official_eighty():
    ids = [category['id'] for category in COCO_CATEGORIES]
    missing = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert ids == [number for number in range(1, 91) if number not in missing]
    by_id = {category['id']: category for category in COCO_CATEGORIES}
    assert by_id[13] == {'supercategory': 'outdoor', 'id': 13, 'name': 'stop sign'}
    assert by_id[90] == {'supercategory': 'indoor', 'id': 90, 'name': 'toothbrush'}


def test_box_area_and_polygon_agree(coco):
    objects = [record for record in coco.anns.values() if not record['iscrowd']]
    assert len(objects) > 20
    for record in objects:
        mask = coco.annToMask(record)
        assert mask.sum() == pytest.approx(record['area'], rel=0.05, abs=6)
        np.testing.assert_allclose(_box(mask), record['bbox'], atol=1.01)


def test_annotations_are_the_visible_parts_of_the_scene(coco):
    for index in range(NUM_TRAIN):
        records = coco.imgToAnns[index + 1]
        objects = make_object_scene((0, 0, index)).objects
        assert len(records) == len(objects)
        for record, obj in zip(records, objects, strict=True):
            assert coco.cats[record['category_id']]['name'] == obj.category
            mask = coco.annToMask(record).astype(bool)
            assert (mask & obj.mask).sum() >= 0.95 * obj.mask.sum()
            np.testing.assert_allclose(_box(mask), _box(obj.mask), atol=2.01)


def test_crowds_are_run_lengths_and_some_images_have_no_objects(coco):
    crowds = [record for record in coco.anns.values() if record['iscrowd']]
    assert crowds
    for record in crowds:
        assert coco.annToMask(record).sum() == record['area']
        assert _box(coco.annToMask(record)) == record['bbox']
    assert set(coco.imgs) - {record['image_id'] for record in coco.anns.values()}


def test_run_lengths_go_down_the_columns_and_begin_with_zeros():
    mask = np.array([[1, 0, 1], [1, 0, 0]], bool)
    assert encode_rle(mask) == {'size': [2, 3], 'counts': [0, 2, 2, 1, 1]}


def test_polygons_follow_pixel_edges_part_by_part():
    mask = np.zeros((20, 30), bool)
    mask[2:8, 3:13] = True
    mask[10:20, 20:30] = True
    boxes = sorted((*p.min(axis=0), *p.max(axis=0)) for p in trace_polygons(mask))
    np.testing.assert_allclose(boxes, [(3, 2, 13, 8), (20, 10, 30, 20)], atol=0.13)


def test_mmdet_reads_it(root):
    datasets = pytest.importorskip('mmdet.datasets')
    dataset = datasets.CocoDataset(
        ann_file='annotations/instances_train2017.json',
        data_root=str(root),
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[],
    )
    names = tuple(category['name'] for category in COCO_CATEGORIES)
    assert dataset.metainfo['classes'] == names
    assert len(dataset) == NUM_TRAIN - 1  # one image is empty
    instances = [i for index in range(len(dataset)) for i in dataset[index]['instances']]
    drawn = [obj for index in range(NUM_TRAIN) for obj in make_object_scene((0, 0, index)).objects]
    assert [names[i['bbox_label']] for i in instances] == [obj.category for obj in drawn]
    assert [bool(i['ignore_flag']) for i in instances] == [obj.crowd for obj in drawn]


def _box(mask):
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
