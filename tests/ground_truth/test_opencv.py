"""Batches and label maps are resized as the pipelines of OpenMMLab do it, with OpenCV."""

import cv2
import numpy as np
import torch

from mmst.core import resize_batch
from mmst.core.label_map import nearest_index


def test_images_are_resized_as_by_opencvs_bilinear():
    image = np.random.default_rng(0).normal(size=(37, 53, 3)).astype(np.float32)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = resize_batch(batch, (23, 31))[0].permute(1, 2, 0).numpy()
    expected = cv2.resize(image, (31, 23), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_nearest_pixels_are_those_of_opencv():
    torch_differs = 0
    for size in (7, 33, 100, 427, 480, 800, 1333):
        row = np.arange(size, dtype=np.float32)[None]
        for new_size in sorted({max(1, int(size * ratio)) for ratio in np.linspace(0.1, 1.2, 40)}):
            expected = cv2.resize(row, (new_size, 1), interpolation=cv2.INTER_NEAREST)[0]
            assert nearest_index(size, new_size).tolist() == expected.tolist(), (size, new_size)
            theirs = torch.nn.functional.interpolate(torch.tensor(row)[None], size=new_size)[0, 0]
            torch_differs += theirs.tolist() != expected.tolist()
    assert torch_differs > 0, "torch's own nearest would do"
