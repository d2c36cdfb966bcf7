"""Ground truth of each library is drawn where it is, and is not modified."""

import copy
import sys

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmst.browse.truth import truth_drawer

GREY = np.full((80, 120, 3), 128, np.uint8)
META = {'classes': ('cat', 'dog'), 'palette': [(220, 20, 60), (0, 0, 230)]}


def changed(picture, bare=GREY):
    """Mask of the pixels that differ from the bare picture."""
    assert picture.shape == bare.shape and picture.dtype == np.uint8
    return (picture != bare).any(axis=2)


def detection(*, masks=False, map_hw=None, bboxes=((10.0, 20.0, 60.0, 70.0),)):
    structures = pytest.importorskip('mmdet.structures')
    mask = pytest.importorskip('mmdet.structures.mask')
    sample = structures.DetDataSample()
    boxes = torch.tensor(bboxes).reshape(-1, 4)
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.ones(len(boxes)).long())
    if masks:
        bitmap = np.zeros((1, 75, 100), np.uint8)  # without the padding of the batch
        bitmap[0, 20:70, 10:60] = 1
        sample.gt_instances.masks = mask.BitmapMasks(bitmap, 75, 100)
    if map_hw is not None:
        labels = torch.zeros(1, *map_hw, dtype=torch.long)
        labels[:, 40:] = 1
        labels[:, :, :20] = 255
        sample.gt_sem_seg = PixelData(sem_seg=labels)
    return sample


def test_boxes_are_drawn_on_their_edges():
    sample = detection()
    before = copy.deepcopy(sample)
    drawn = truth_drawer(sample, META)(GREY, sample)
    assert list(drawn) == ['instances']
    pixels = changed(drawn['instances'])
    assert pixels[20:71, [10, 60]].all() and pixels[[20, 70], 10:61].all()
    assert not pixels[23:68, 13:58].any()
    assert not pixels[:18].any() and not pixels[:, 63:].any()
    assert (GREY == 128).all()
    assert torch.equal(sample.gt_instances.bboxes, before.gt_instances.bboxes)
    assert 'label_names' not in sample.gt_instances


def test_masks_are_drawn_inside_too_also_unpadded_ones():
    sample = detection(masks=True)
    drawn = truth_drawer(sample, META)(GREY, sample)['instances']
    assert changed(drawn)[22:68, 12:58].all()
    assert sample.gt_instances.masks.masks.shape == (1, 75, 100)


def test_a_semantic_map_of_mmdet_is_drawn_without_what_is_ignored():
    sample = detection(map_hw=(75, 100))
    drawn = truth_drawer(sample, META)(GREY, sample)
    assert list(drawn) == ['instances', 'semantic map']
    pixels = drawn['semantic map']
    top, bottom = pixels[:40, 20:100].reshape(-1, 3), pixels[40:75, 20:100].reshape(-1, 3)
    assert len(np.unique(top, axis=0)) == len(np.unique(bottom, axis=0)) == 1
    assert top[0, 0] > 128 > top[0, 1] and bottom[0, 2] > 128 > bottom[0, 0]
    assert not changed(pixels)[:, :20].any() and not changed(pixels)[75:].any()


def test_names_of_classes_stand_on_large_pictures_only():
    sample = detection(map_hw=(300, 400))
    large = np.full((300, 400, 3), 128, np.uint8)
    drawn = truth_drawer(sample, META)(large, sample)
    boxes = changed(drawn['instances'], large)
    assert boxes[23:40, 13:40].any()
    black = (drawn['semantic map'] < 60).all(axis=2)
    assert black.any()
    small = detection(map_hw=(80, 120))
    drawn = truth_drawer(small, META)(GREY, small)
    assert not (drawn['semantic map'] < 60).all(axis=2).any()


def test_an_image_without_objects_stays_bare():
    sample = detection(bboxes=())
    drawn = truth_drawer(sample, META)(GREY, sample)
    assert not changed(drawn['instances']).any()


def test_a_map_of_mmseg_is_drawn():
    structures = pytest.importorskip('mmseg.structures')
    labels = torch.zeros(1, 80, 120, dtype=torch.long)
    labels[:, 40:] = 1
    labels[:, :, :20] = 255
    sample = structures.SegDataSample(gt_sem_seg=PixelData(data=labels))
    drawn = truth_drawer(sample, META)(GREY, sample)
    assert list(drawn) == ['semantic map']
    pixels = drawn['semantic map']
    np.testing.assert_array_equal(pixels[10, 50], (128 + np.array((220, 20, 60))) // 2)
    np.testing.assert_array_equal(pixels[70, 50], (128 + np.array((0, 0, 230))) // 2)
    assert (pixels[:, :20] == 64).all()  # ignored
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 3


def test_a_depth_map_is_drawn_in_the_size_of_the_picture():
    structures = pytest.importorskip('mmseg.structures')
    depths = torch.arange(120).expand(1, 80, 120).clone()
    sample = structures.SegDataSample(gt_depth_map=PixelData(data=depths))
    drawn = truth_drawer(sample, META)(GREY, sample)
    assert list(drawn) == ['depth map']
    assert changed(drawn['depth map']).mean() > 0.9
    left, right = drawn['depth map'][40, [5, 115]].astype(int)
    assert left[2] > left[0] and right[0] > right[2]  # from blue to red


def pose(instances, labels=None, heatmaps=None):
    structures = pytest.importorskip('mmpose.structures')
    sample = structures.PoseDataSample(gt_instances=InstanceData(**instances))
    if labels is not None:
        sample.gt_instance_labels = InstanceData(**labels)
    if heatmaps is not None:
        sample.gt_fields = PixelData(heatmaps=heatmaps)
    return sample


ORIGINAL = {'keypoints': np.full((1, 2, 2), 5.0)}
HERE = np.array([[[30.0, 20.0], [90.0, 60.0]]])


def drawn_around(picture):
    """Tells which of the two keypoints is drawn, and checks that nothing else is."""
    pixels = changed(picture)
    places = [pixels[y - 4 : y + 5, x - 4 : x + 5] for x, y in HERE[0].astype(int)]
    assert pixels.sum() == sum(place.sum() for place in places)
    return [place.sum() > 8 for place in places]


@pytest.mark.parametrize(
    ('instances', 'labels', 'expected'),
    [
        ({'transformed_keypoints': HERE}, None, [True, True]),
        ({'transformed_keypoints': HERE, 'keypoints_visible': [[1.0, 0.0]]}, None, [True, False]),
        ({'transformed_keypoints': HERE}, {'keypoint_weights': [[0.0, 1.0]]}, [False, True]),
        ({}, {'keypoint_labels': HERE / (120, 80)}, [True, True]),
    ],
)
def test_keypoints_of_the_input_are_drawn(instances, labels, expected):
    labels = labels and {name: torch.tensor(value) for name, value in labels.items()}
    sample = pose({**ORIGINAL, **{k: np.array(v) for k, v in instances.items()}}, labels)
    drawn = truth_drawer(sample, {})(GREY, sample)
    assert list(drawn) == ['keypoints']
    assert drawn_around(drawn['keypoints']) == expected


def test_keypoints_of_the_original_image_are_not_drawn():
    sample = pose(ORIGINAL)
    assert truth_drawer(sample, {})(GREY, sample) == {}


def test_the_maximum_of_the_heatmaps_is_drawn():
    heatmaps = torch.zeros(2, 20, 30)
    heatmaps[0, 5, 7] = heatmaps[1, 15, 22] = 1
    sample = pose(ORIGINAL, heatmaps=heatmaps)
    drawn = truth_drawer(sample, {})(GREY, sample)
    assert list(drawn) == ['heatmaps']
    warm = drawn['heatmaps'][..., 0].astype(int) - drawn['heatmaps'][..., 2] > 0
    rows, columns = np.nonzero(warm)
    assert {(row // 40, column // 60) for row, column in zip(rows, columns, strict=True)} == {
        (0, 0),
        (1, 1),
    }
    for row, column in ((5, 7), (15, 22)):
        assert warm[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].all()


@pytest.fixture
def texts(monkeypatch):
    """Collects what mmpretrain's visualizer writes on a picture."""
    visualization = pytest.importorskip('mmpretrain.visualization')
    seen = []
    visualize = visualization.UniversalVisualizer.visualize_cls

    def spy(self, picture, *arguments, **options):
        drawn = visualize(self, picture, *arguments, **options)
        seen.extend(text.get_text() for text in self.ax_save.texts)
        return drawn

    monkeypatch.setattr(visualization.UniversalVisualizer, 'visualize_cls', spy)
    return seen


@pytest.mark.parametrize(
    ('scores', 'metainfo', 'expected'),
    [
        (None, META, 'Ground truth: 1 (dog)'),
        (None, {}, 'Ground truth: 1'),
        ([0.3, 0.7], META, 'Ground truth: 0 (cat, 0.30)\n              1 (dog, 0.70)'),
        ([1.0, 0.0], {}, 'Ground truth: 0 (1.00)'),
    ],
)
def test_labels_of_mmpretrain_are_written(texts, scores, metainfo, expected):
    structures = pytest.importorskip('mmpretrain.structures')
    sample = structures.DataSample().set_gt_label(1)
    if scores is not None:
        sample.set_gt_score(torch.tensor(scores))
    drawn = truth_drawer(sample, metainfo)(GREY, sample)
    assert list(drawn) == ['labels']
    assert texts == [expected]
    assert changed(drawn['labels']).sum() > 50


def test_a_sample_without_labels_draws_nothing():
    structures = pytest.importorskip('mmpretrain.structures')
    assert truth_drawer(structures.DataSample(), META)(GREY, structures.DataSample()) == {}


def test_subclasses_are_drawn_and_unknown_samples_are_not():
    structures = pytest.importorskip('mmdet.structures')

    class Mine(structures.DetDataSample):
        pass

    assert truth_drawer(Mine(), META) is not None
    assert truth_drawer(BaseDataElement(), META) is None


def test_detections_need_no_other_library(monkeypatch):
    for name in ('mmseg', 'mmpose', 'mmpretrain'):
        monkeypatch.setitem(sys.modules, name, None)
    sample = detection()
    assert changed(truth_drawer(sample, META)(GREY, sample)['instances']).any()
