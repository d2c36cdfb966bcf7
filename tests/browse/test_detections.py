"""Detections are drawn beside the ground truth, both in the pixels of the file."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmst.browse.detections import detect, detection_column
from mmst.mini import make_mini_data
from mmst.mini.objects import make_object_scene

structures = pytest.importorskip('mmdet.structures')

META = {'classes': ('cat', 'dog'), 'palette': [(220, 20, 60), (0, 0, 230)]}


def edges(box):
    """Mask of the pixels on the edges of a box."""
    mask = np.zeros((100, 120), np.uint8)
    cv2.rectangle(mask, box[:2], box[2:], 1)
    return mask.astype(bool)


def test_true_boxes_are_drawn_on_one_picture_and_the_sure_ones_found_on_the_other(tmp_path):
    grey = np.full((100, 120, 3), 128, np.uint8)
    grey[..., 0] = 90  # blue, in a file
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), grey)
    true, sure, unsure = (10, 20, 40, 70), (60, 15, 100, 60), (30, 75, 110, 95)
    sample = structures.DetDataSample(metainfo={'img_path': str(path)})
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([true]).float(), labels=torch.tensor([1])
    )
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([sure, unsure]).float(),
        labels=torch.tensor([0, 1]),
        scores=torch.tensor([0.8, 0.6]),
    )
    column = detection_column(sample, META)
    assert list(column.title) == ['grey.png'] and list(column.pictures) == ['truth', 'found']
    truth, found = (
        (picture != grey[..., ::-1]).any(axis=2) for picture in column.pictures.values()
    )
    assert truth[edges(true)].all() and not truth[:, 60:].any()
    assert found[edges(sure)].all() and not found[:, :57].any() and not found[70:].any()
    assert column.pictures['truth'][70, 30, 2] > 150 > column.pictures['truth'][70, 30, 0]  # blue
    assert column.pictures['found'][60, 80, 0] > 150 > column.pictures['found'][60, 80, 2]  # red
    both = detection_column(sample, META, min_score=0.5).pictures['found']
    assert (both != grey[..., ::-1]).any(axis=2)[edges(unsure)].all()
    assert len(sample.pred_instances) == 2


def test_a_detector_is_run_on_validation_images(tmp_path, monkeypatch):
    apis = pytest.importorskip('mmdet.apis')

    def infer(model, paths):
        found = InstanceData(
            bboxes=torch.tensor([[1.0, 2.0, 30.0, 40.0]]),
            labels=torch.tensor([62]),
            scores=torch.tensor([0.8]),
        )
        resized = InstanceData(bboxes=torch.tensor([[1.0, 1.0, 2.0, 2.0]]))
        return [structures.DetDataSample(pred_instances=found, gt_instances=resized) for _ in paths]

    monkeypatch.setattr(apis, 'init_detector', lambda *_, device: SimpleNamespace())
    monkeypatch.setattr(apis, 'inference_detector', infer)
    root = make_mini_data('coco', tmp_path / 'coco', num_train=1, num_val=12)
    dataset = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=[],
    )
    cfg = Config(dict(val_dataloader=dict(dataset=dataset)))
    samples, metainfo = detect(cfg, 'unused.pth', num_images=2)

    assert metainfo['classes'][62] == 'tv' and len(metainfo['palette']) == 80
    assert [sample.img_path[-16:] for sample in samples] == ['000000500001.jpg', '000000500006.jpg']
    for sample, index in zip(samples, (0, 5), strict=True):  # 5 has a crowd
        scene = make_object_scene((0, 1, index))
        objects = [obj.category for obj in scene.objects if not obj.crowd]
        truth = sample.gt_instances
        assert [metainfo['classes'][label] for label in truth.labels] == objects
        assert truth.bboxes.shape == (len(objects), 4) and truth.bboxes.max() > 60
        found = detection_column(sample, metainfo).pictures['found']
        changed = (found != cv2.imread(sample.img_path)[..., ::-1]).any(axis=2)
        assert changed[40, 2:30].all() and changed[5:40, 30].all()
        assert not changed[45:].any() and not changed[:, 60:].any()
