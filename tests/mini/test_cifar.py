"""Mini CIFAR: folders of images in which each class looks different, readable by mmpretrain."""

import cv2
import numpy as np
import pytest

from mmst.mini import LAYOUTS, make_mini_data
from mmst.mini.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES

EXPECTED = {'cifar10': CIFAR10_CLASSES, 'cifar100': CIFAR100_CLASSES}


@pytest.fixture(params=EXPECTED)
def layout(request):
    return request.param


def test_the_classes_are_mmpretrains(layout):
    datasets = pytest.importorskip('mmpretrain.datasets')
    assert getattr(datasets, layout.upper()).METAINFO['classes'] == EXPECTED[layout]


def test_mmpretrain_reads_the_folders_with_cifars_labels(layout, tmp_path):
    datasets = pytest.importorskip('mmpretrain.datasets')
    root = make_mini_data(layout, tmp_path / layout, num_train=12, num_val=3)
    for split, number in (('train', 12), ('test', 3)):  # classes without an image count, too
        dataset = datasets.CustomDataset(data_root=str(root), data_prefix=split, pipeline=[])
        assert list(dataset.CLASSES) == list(EXPECTED[layout])
        infos = [dataset.get_data_info(index) for index in range(number)]
        assert len(dataset) == number
        for info in infos:
            index = int(info['img_path'].split('/')[-1].removesuffix('.png'))
            assert info['gt_label'] == index % len(EXPECTED[layout])
            scene = LAYOUTS[layout].make_scene((0, split == 'test', index))
            np.testing.assert_array_equal(cv2.imread(info['img_path']), scene.image)
            assert scene.image.shape == (32, 32, 3)


def mean_color(scene):
    return scene.image[scene.objects[0].mask].mean(axis=0)


def test_of_ten_classes_each_has_its_own_colour():
    make_scene = LAYOUTS['cifar10'].make_scene
    means = np.array([[mean_color(make_scene((0, 0, 10 * k + c))) for k in range(3)]
                      for c in range(10)])  # fmt: skip
    middle = means.mean(axis=1)
    nearest = np.linalg.norm(means[:, :, None] - middle, axis=-1).argmin(axis=-1)
    assert (nearest == np.arange(10)[:, None]).mean() > 0.9


def test_of_a_hundred_classes_each_has_its_own_pair_of_shape_and_colour():
    make_scene = LAYOUTS['cifar100'].make_scene
    colors = np.array([mean_color(make_scene((0, 0, label))) for label in range(100)])
    tens = colors.reshape(10, 10, 3)
    within = np.linalg.norm(tens - tens.mean(axis=1, keepdims=True), axis=-1).mean()
    between = np.linalg.norm(tens.mean(axis=1) - tens.mean(axis=(0, 1)), axis=-1).mean()
    assert between > 3 * within
    masks = [make_scene((0, 0, label)).objects[0].mask for label in range(10)]
    filled = [mask[mask.any(axis=1)][:, mask.any(axis=0)].mean() for mask in masks]
    assert np.std(filled) > 0.08  # ten shapes of one colour; of discs alone it is below 0.03
