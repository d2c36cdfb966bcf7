"""Datasets and data preprocessors of the detection and segmentation experiments."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from mmengine.structures import InstanceData, PixelData

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIGS = TOOLS / 'experiments' / 'configs'


@pytest.fixture(autouse=True)
def experiments(monkeypatch):
    """Configs find their modules beside tools/train.py, as they do when that runs."""
    monkeypatch.syspath_prepend(str(TOOLS))


def preprocessor(name, min_ratio):
    cfg = Config.fromfile(CONFIGS / f'{name}_effnet_lite0.py')
    settings = {**cfg.model.data_preprocessor, 'min_ratio': min_ratio}
    return MODELS.build({**settings, '_scope_': cfg.default_scope})


def blob_batch(make_sample):
    """Two black images of 96x128 pixels with a white rectangle from (32, 16) to (64, 48)."""
    image = torch.zeros(3, 96, 128, dtype=torch.uint8)
    image[:, 16:48, 32:64] = 255
    samples = [make_sample() for _ in range(2)]
    for sample in samples:
        sample.set_metainfo(
            {'img_shape': (96, 128), 'ori_shape': (96, 128), 'scale_factor': (1, 1)}
        )
    return {'inputs': [image, image.clone()], 'data_samples': samples}


def det_sample():
    from mmdet.structures import DetDataSample

    boxes = torch.tensor([[32.0, 16.0, 64.0, 48.0]])
    instances = InstanceData(bboxes=boxes, labels=torch.tensor([1]))
    return DetDataSample(gt_instances=instances)


def seg_sample():
    from mmseg.structures import SegDataSample

    labels = torch.zeros(1, 96, 128, dtype=torch.long)
    labels[:, 16:48, 32:64] = 3
    return SegDataSample(gt_sem_seg=PixelData(data=labels))


@pytest.mark.parametrize('name', ['bccd', 'camvid'])
def test_ground_truth_follows_a_batch_of_one_random_size(name):
    make_sample = {'bccd': det_sample, 'camvid': seg_sample}[name]
    preprocess = preprocessor(name, 0.43)
    torch.manual_seed(0)
    widths = set()
    for _ in range(5):
        batch = preprocess(blob_batch(make_sample), training=True)
        sample = batch['data_samples'][0]
        height, width = sample.img_shape[:2]
        widths.add(width)
        # Normalised values: white is +1, black and the padding of mmdet 0 or less.
        white = (batch['inputs'][0, 0] > 0.5).nonzero()
        top, left = white.min(0).values.tolist()
        bottom, right = (white.max(0).values + 1).tolist()
        drawn = [left, top, right, bottom]
        if name == 'bccd':
            truth = sample.gt_instances.bboxes[0].tolist()
        else:
            marked = (sample.gt_sem_seg.data[0] == 3).nonzero()
            (y0, x0), (y1, x1) = marked.min(0).values.tolist(), marked.max(0).values.tolist()
            truth = [x0, y0, x1 + 1, y1 + 1]
        assert drawn == pytest.approx(truth, abs=1)
        assert truth[2] - truth[0] == pytest.approx(32 * width / 128, abs=1)
    assert len(widths) == 5
    assert min(widths) >= 0.43 * 128 - 1


@pytest.mark.parametrize('name', ['bccd', 'camvid'])
def test_images_keep_their_size_in_a_test_and_with_a_ratio_of_one(name):
    make_sample = {'bccd': det_sample, 'camvid': seg_sample}[name]
    whole = preprocessor(name, 1.0)(blob_batch(make_sample), training=True)['inputs']
    assert preprocessor(name, 1.0).expected_area_ratio == 1
    again = preprocessor(name, 0.43)
    assert again.expected_area_ratio == pytest.approx((1 + 0.43 + 0.43**2) / 3)
    tested = again(blob_batch(make_sample), training=False)['inputs']
    assert torch.equal(tested, whole[..., :96, :128])
    assert whole.is_contiguous(memory_format=torch.channels_last)


def test_images_of_several_coco_files_get_ids_of_their_own(tmp_path):
    (tmp_path / 'annotations').mkdir()
    for split, count in (('val', 2), ('test', 3)):
        images = [
            {'id': n, 'file_name': f'{split}{n}.jpg', 'width': 8, 'height': 8}
            for n in range(1, count + 1)
        ]
        boxes = [
            {'id': n, 'image_id': n, 'category_id': 1, 'bbox': [0, 0, n, n], 'area': n * n}
            for n in range(1, count + 1)
        ]
        content = {
            'images': images,
            'annotations': [{**box, 'iscrowd': 0} for box in boxes],
            'categories': [{'id': 1, 'name': 'RBC'}],
        }
        file = tmp_path / 'annotations' / f'instances_{split}.json'
        file.write_text(json.dumps(content))
    cfg = Config.fromfile(CONFIGS / 'bccd_effnet_lite0.py')
    settings = {**cfg.test_dataloader.dataset, 'data_root': str(tmp_path), 'pipeline': []}
    data = DATASETS.build({**settings, 'type': 'mmdet.CocoSplits'})
    infos = [data.get_data_info(index) for index in range(len(data))]
    assert [info['img_id'] for info in infos] == [1, 2, 3, 4, 5]
    names = ['val/val1.jpg', 'val/val2.jpg', 'test/test1.jpg', 'test/test2.jpg', 'test/test3.jpg']
    assert [info['img_path'] for info in infos] == [str(tmp_path / name) for name in names]
    sides = [info['instances'][0]['bbox'][2] for info in infos]
    assert np.array_equal(sides, [1, 2, 1, 2, 3])
