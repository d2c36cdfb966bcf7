"""Images with boxes, as a detector's pipeline packs them."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import BaseDataElement, InstanceData
from torch.utils.data import Dataset

SIZES_HW = [(64, 96), (96, 64), (64, 64), (80, 96)]


def raw_sample(kind: type[BaseDataElement], size_hw, boxes, seed: int) -> dict:
    """One image of uint8 and its data sample, of a given class."""
    height, width = size_hw
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.arange(len(boxes)) % 5
    size = {'img_shape': (height, width), 'ori_shape': (2 * height, 2 * width)}
    sample = kind(metainfo={**size, 'scale_factor': (0.5, 0.5), 'img_id': seed})
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:1] + 1, labels=labels[:1])
    return {'inputs': image, 'data_samples': sample}


class Detections(Dataset):
    """Images of four sizes, every fourth without objects."""

    metainfo = {'classes': list('abcde')}

    def __init__(self, kind: type[BaseDataElement], length: int = 8):
        self.samples = []
        for index in range(length):
            boxes = [[5, 6, 40, 44], [20, 10, 60, 60]][: index % 4]
            self.samples.append(raw_sample(kind, SIZES_HW[index % 4], boxes, index))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return copy.deepcopy(self.samples[index])


def preprocessed_batches(kind: type[BaseDataElement]) -> Callable[..., dict]:
    """Returns a function of a model that preprocesses some of the images for it.

    The default are two, of 96 x 64 and 64 x 64 pixels.
    """
    samples = Detections(kind)

    def preprocess(model, indices=(1, 2)):
        raw = pseudo_collate([samples[index] for index in indices])
        return model.data_preprocessor(raw, training=True)

    return preprocess
