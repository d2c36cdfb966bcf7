"""Scenes are deterministic, and know exactly what is visible where."""

import numpy as np
import pytest

from mmst.mini.cityscapes import CITYSCAPES_CLASSES
from mmst.mini.coco_categories import COCO_CATEGORIES, PANOPTIC_CATEGORIES
from mmst.mini.objects import make_object_scene
from mmst.mini.people import make_people_scene
from mmst.mini.scene import Painter
from mmst.mini.shapes import SHAPES
from mmst.mini.sprite import Sprite
from mmst.mini.street import make_street_scene

MAKERS = [make_object_scene, make_people_scene, make_street_scene]
COCO_NAMES = {category['name'] for category in PANOPTIC_CATEGORIES}


@pytest.mark.parametrize('make', MAKERS)
def test_equal_seeds_give_equal_scenes(make):
    first, second = make((0, 0, 3)), make((0, 0, 3))
    np.testing.assert_array_equal(first.image, second.image)
    assert len(first.objects) == len(second.objects) > 0
    assert len(first.stuff) == len(second.stuff) > 0
    for a, b in zip(first.objects + first.stuff, second.objects + second.stuff, strict=True):
        assert a.category == b.category
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


@pytest.mark.parametrize('make', MAKERS)
@pytest.mark.parametrize('other', [(1, 0, 3), (0, 1, 3), (0, 0, 4)])
def test_another_seed_split_or_index_gives_another_picture(make, other):
    first, second = make((0, 0, 3)).image, make(other).image
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize('make', MAKERS)
def test_every_pixel_is_of_one_object_or_stuff(make):
    names = set(CITYSCAPES_CLASSES) if make is make_street_scene else COCO_NAMES
    for index in range(12):
        scene = make((0, 0, index))
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        covered = np.zeros((height, width), int)
        for part in scene.objects + scene.stuff:
            assert part.category in names
            covered += part.mask
        if make is make_street_scene:  # the bonnet of the own car, in the middle of the lower edge
            assert covered[-1, width // 2] == 0
            covered[int(0.9 * height) :] = 1
        assert covered.min() == covered.max() == 1


def test_objects_do_get_occluded():
    scenes = [make_object_scene((0, 0, index)) for index in range(12)]
    assert all(obj.mask.any() for scene in scenes for obj in scene.objects)
    # A disc fills pi / 4 of its box; much less means that something lies before it.
    fills = [_box_fill(obj.mask) for s in scenes for obj in s.objects if obj.category == 'clock']
    assert min(fills) < 0.65 < max(fills)


def test_every_category_is_drawn_and_sizes_vary_widely():
    objects = [obj for index in range(48) for obj in make_object_scene((0, 0, index)).objects]
    assert {obj.category for obj in objects} == set(SHAPES)
    sizes = [obj.mask.sum() ** 0.5 for obj in objects if not obj.crowd]
    assert max(sizes) > 4 * min(sizes)


def test_of_sixteen_scenes_one_has_a_crowd_and_one_is_empty():
    scenes = [make_object_scene((0, 0, index)) for index in range(16)]
    assert sum(not scene.objects for scene in scenes) == 1
    assert sum(any(obj.crowd for obj in scene.objects) for scene in scenes) == 1


def test_all_shapes_are_categories_of_coco():
    assert set(SHAPES) <= {category['name'] for category in COCO_CATEGORIES}


def test_keypoints_move_with_their_sprite_and_are_hidden_by_what_lies_before_it():
    painter = Painter(np.zeros((40, 60, 3), np.float32), np.random.default_rng(0))
    block = np.zeros((11, 11), np.float32)
    block[1:-1, 1:-1] = 1
    color = np.zeros((11, 11, 3), np.float32)
    keypoints = np.array([(0, 0, 2), (3, 0, 2), (-4, 0, 1), (0, -4, 0)], float)
    below = Sprite(color, block, np.eye(2, 3), keypoints)
    painter.add('person', below, (20, 10))
    painter.add('person', below, (57, 30))
    painter.add('tv', Sprite(color, block, np.eye(2, 3)), (27, 10))
    first, second, _ = painter.finish().objects
    # The second keypoint of the first is covered, and that of the other outside.
    assert first.keypoints.tolist() == [[20, 10, 2], [23, 10, 1], [16, 10, 1], [0, 0, 0]]
    assert second.keypoints.tolist() == [[57, 30, 2], [0, 0, 0], [53, 30, 1], [0, 0, 0]]


def _box_fill(mask):
    ys, xs = np.nonzero(mask)
    return mask.sum() / (np.ptp(ys) + 1) / (np.ptp(xs) + 1)
