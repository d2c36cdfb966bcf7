"""Scenes are deterministic, and know exactly what is visible where."""

import numpy as np
import pytest

from mmst.mini.coco_categories import COCO_CATEGORIES
from mmst.mini.scene import make_scene
from mmst.mini.shapes import SHAPES


def test_equal_seeds_give_equal_scenes():
    first, second = make_scene((0, 0, 3)), make_scene((0, 0, 3))
    np.testing.assert_array_equal(first.image, second.image)
    assert len(first.objects) == len(second.objects) > 0
    for a, b in zip(first.objects, second.objects, strict=True):
        assert a.category == b.category
        np.testing.assert_array_equal(a.mask, b.mask)


@pytest.mark.parametrize('other', [(1, 0, 3), (0, 1, 3), (0, 0, 4)])
def test_another_seed_split_or_index_gives_another_picture(other):
    first, second = make_scene((0, 0, 3)).image, make_scene(other).image
    assert first.shape != second.shape or (first != second).any()


def test_visible_masks_do_not_overlap_and_objects_do_get_occluded():
    scenes = [make_scene((0, 0, index)) for index in range(12)]
    for scene in scenes:
        assert scene.image.dtype == np.uint8
        covered = np.zeros(scene.image.shape[:2], int)
        for obj in scene.objects:
            assert obj.mask.shape == scene.image.shape[:2]
            assert obj.mask.any()
            covered += obj.mask
        assert covered.max(initial=0) <= 1
    # A disc fills pi / 4 of its box; much less means that something lies before it.
    fills = [_box_fill(obj.mask) for s in scenes for obj in s.objects if obj.category == 'clock']
    assert min(fills) < 0.65 < max(fills)


def test_every_category_is_drawn_and_sizes_vary_widely():
    objects = [obj for index in range(48) for obj in make_scene((0, 0, index)).objects]
    assert {obj.category for obj in objects} == set(SHAPES)
    sizes = [obj.mask.sum() ** 0.5 for obj in objects if not obj.crowd]
    assert max(sizes) > 4 * min(sizes)


def test_of_sixteen_scenes_one_has_a_crowd_and_one_is_empty():
    scenes = [make_scene((0, 0, index)) for index in range(16)]
    assert sum(not scene.objects for scene in scenes) == 1
    assert sum(any(obj.crowd for obj in scene.objects) for scene in scenes) == 1


def test_all_shapes_are_categories_of_coco():
    assert set(SHAPES) <= {category['name'] for category in COCO_CATEGORIES}


def _box_fill(mask):
    ys, xs = np.nonzero(mask)
    return mask.sum() / (np.ptp(ys) + 1) / (np.ptp(xs) + 1)
