"""People have their joints where they are drawn, and a left and a right."""

import numpy as np
import pytest

from mmst.mini.canvas import Canvas
from mmst.mini.figure import KEYPOINTS, WALKING, draw_figure

SIZE = 240


def draw(seed, **options):
    canvas = Canvas(SIZE)
    keypoints = draw_figure(canvas, np.random.default_rng(seed), **options)
    return canvas, {name: keypoints[index] for index, name in enumerate(KEYPOINTS)}


def pixel(point):
    return tuple(((np.asarray(point[:2]) + 1) / 2 * SIZE).round().astype(int)[::-1])


FIGURES = [draw(seed) for seed in range(24)]


def test_the_order_is_that_of_mmpose():
    metainfo = pytest.importorskip('mmpose.datasets.datasets').CocoDataset.METAINFO
    datasets = pytest.importorskip('mmpose.datasets.datasets.utils')
    names = datasets.parse_pose_metainfo(metainfo)['keypoint_id2name']
    assert tuple(names[index] for index in range(17)) == KEYPOINTS


def test_labelled_joints_are_on_the_figure():
    for canvas, joints in FIGURES:
        for joint in joints.values():
            assert joint[2] == 0 or canvas.alpha[pixel(joint)] == 255


def test_the_figure_fills_its_canvas():
    for canvas, _ in FIGURES:
        ys, xs = np.nonzero(canvas.alpha)
        assert max(np.ptp(xs), np.ptp(ys)) > 0.95 * SIZE
        assert not canvas.alpha[[0, -1]].any() and not canvas.alpha[:, [0, -1]].any()


def test_the_face_tells_left_from_right():
    behind = 0
    for canvas, joints in FIGURES:
        is_behind = joints['nose'][2] == 0
        behind += is_behind
        assert all((joints[f'{side}_eye'][2] == 0) == is_behind for side in ('left', 'right'))
        for part in ('ear', 'shoulder', 'hip'):
            left_is_east = joints[f'left_{part}'][0] > joints[f'right_{part}'][0]
            assert left_is_east != is_behind
        if not is_behind:  # there are whites around the eyes
            y, x = pixel(joints['left_eye'])
            assert canvas.color[y - 8 : y + 9, x - 8 : x + 9].min(axis=-1).max() == 250
    assert 2 <= behind <= 12


def test_both_sides_look_alike():
    """Else flipped pictures would say the opposite."""
    for canvas, joints in FIGURES:
        left, right = (
            canvas.color[pixel((joints[f'{side}_knee'] + joints[f'{side}_ankle']) / 2)]
            for side in ('left', 'right')
        )
        np.testing.assert_array_equal(left, right)


def test_a_joint_behind_another_part_is_marked_as_hidden():
    figures = [draw(seed) for seed in range(60)]
    seen = [joint[2] for _, joints in figures for joint in joints.values()]
    assert 0 < seen.count(1) < 0.1 * len(seen)
    covered = 0
    for canvas, joints in figures:
        hips = joints['left_hip'], joints['right_hip']
        patches = [canvas.color[y - 1 : y + 2, x - 1 : x + 2] for y, x in map(pixel, hips)]
        if all(np.ptp(patch, axis=(0, 1)).max() == 0 for patch in patches):  # at no edge
            # The shirt is drawn over both, and what lies before one of them has another colour.
            assert (patches[0] == patches[1]).all() == (hips[0][2] == hips[1][2])
            covered += hips[0][2] != hips[1][2]
    assert covered > 0


def test_walking_people_stand_on_their_feet():
    for seed in range(6):
        canvas, joints = draw(seed, pose=WALKING)
        ys, xs = np.nonzero(canvas.alpha)
        assert np.ptp(ys) > 0.95 * SIZE > 2 * np.ptp(xs)
        for side in ('left', 'right'):
            heights = [joints[f'{side}_{part}'][1] for part in ('shoulder', 'hip', 'knee', 'ankle')]
            assert heights == sorted(heights)
