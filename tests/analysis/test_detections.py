"""Detections are drawn beside the ground truth, both in the original image's pixels."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmst.analysis.detections import Boxes, DetectedImage, detect, draw_boxes, draw_detections
from mmst.mini import make_mini_data
from mmst.mini.objects import make_object_scene

GREY = np.full((60, 80, 3), 128, np.uint8)
NOTHING = Boxes(np.zeros((0, 4)), [])
ONE = Boxes(np.array([[10.0, 20.0, 40.0, 50.0]]), ['tv'], np.array([0.9]))


def test_a_box_is_drawn_where_it_is_and_the_image_stays():
    drawn = draw_boxes(GREY, ONE)
    assert (GREY == 128).all()
    changed = (drawn != GREY).any(axis=2)
    assert changed[20:51, 10].all() and changed[20:51, 40].all()
    assert changed[50, 10:41].all()
    assert not changed[26:47, 14:36].any()
    assert not changed[53:].any()


def test_no_box_draws_nothing():
    np.testing.assert_array_equal(draw_boxes(GREY, NOTHING), GREY)


def test_the_sheet_holds_truth_and_detections_of_each_image(tmp_path):
    path = tmp_path / 'sheet.png'
    draw_detections([DetectedImage(GREY, ONE, NOTHING)] * 3, path)
    sheet = cv2.imread(str(path))
    grey = (sheet == 128).all(axis=2)
    assert grey.sum() > 3 * 2 * 0.6 * 60 * 80
    plain = (grey[:, 88:176].sum(), grey[:, :88].sum())  # found: untouched; truth: with a box
    assert plain[0] == 2 * 60 * 80 > plain[1] > 0


def test_no_images_are_an_error(tmp_path):
    with pytest.raises(ValueError, match='at least one image to draw, got none'):
        draw_detections([], tmp_path / 'sheet.png')


def test_a_detector_is_run_on_validation_images(tmp_path, monkeypatch):
    apis = pytest.importorskip('mmdet.apis')
    structures = pytest.importorskip('mmdet.structures')
    asked = []

    def infer(model, paths):
        asked.extend(paths)
        found = InstanceData(
            bboxes=torch.tensor([[1.0, 2.0, 30.0, 40.0], [5.0, 5.0, 9.0, 9.0]]),
            labels=torch.tensor([62, 0]),
            scores=torch.tensor([0.8, 0.1]),
        )
        return [structures.DetDataSample(pred_instances=found) for _ in paths]

    monkeypatch.setattr(apis, 'init_detector', lambda cfg, checkpoint, device: None)
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
    images = detect(Config(dict(val_dataloader=dict(dataset=dataset))), 'unused.pth', num_images=2)

    assert [path[-16:] for path in asked] == ['000000500001.jpg', '000000500006.jpg']
    for image, index in zip(images, (0, 5), strict=True):
        scene = make_object_scene((0, 1, index))
        assert image.image.shape == scene.image.shape
        objects = [obj.category for obj in scene.objects if not obj.crowd]
        assert image.truth.names == objects
        assert image.truth.corners.shape == (len(objects), 4)
        assert image.truth.scores is None
        assert image.found.names == ['tv']
        np.testing.assert_allclose(image.found.corners, [[1, 2, 30, 40]])
        np.testing.assert_allclose(image.found.scores, [0.8])
