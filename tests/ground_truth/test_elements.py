"""A copied batch of data samples is the batch, and nothing done to it reaches the batch."""

import copy

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import BaseBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.testing import demo_mm_inputs, demo_track_inputs
from mmengine.structures import BaseDataElement
from mmpose.testing import get_packed_inputs
from mmpretrain.structures import DataSample, MultiTaskDataSample

from mmst.ground_truth.elements import copy_value


def detection():
    settings = {'with_mask': True, 'with_semantic': True, 'use_box_type': True}
    return demo_mm_inputs(2, **settings)['data_samples']


def classification():
    samples = []
    for label in (3, [0, 4]):
        sample = DataSample(metainfo={'img_path': 'a.png', 'scale_factor': np.ones(2)})
        samples.append(sample.set_gt_label(label).set_gt_score(torch.rand(5)))
    return samples


def several_tasks():
    sample = MultiTaskDataSample()
    sample.set_field(DataSample().set_gt_label(1), 'kind')
    return [sample]


BATCHES = {
    'detection': detection,
    'video': lambda: demo_track_inputs()['data_samples'],
    'pose': lambda: get_packed_inputs(2)['data_samples'],
    'pose, levels': lambda: get_packed_inputs(1, num_levels=2)['data_samples'],
    'classification': classification,
    'several tasks': several_tasks,
    'tuple': lambda: tuple(classification()),
    'none': lambda: None,
}


def arrays(value):
    """All arrays and tensors in a value, with those of the metainfo."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return [value]
    if isinstance(value, BitmapMasks):
        return [value.masks]
    if isinstance(value, BaseBoxes):
        return [value.tensor]
    if isinstance(value, BaseDataElement):
        return [array for name in sorted(vars(value)) for array in arrays(vars(value)[name])]
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in arrays(part)]
    return []


def texts(value):
    return [(str(array.dtype), array.tolist()) for array in arrays(value)]


def names(batch):
    """Classes, fields and metainfo of the samples."""
    return [
        (type(sample), sorted(sample.keys()), sorted(sample.metainfo)) for sample in batch or ()
    ]


@pytest.mark.parametrize('kind', BATCHES)
def test_copy_is_equal_and_independent(kind):
    batch = BATCHES[kind]()
    original = copy.deepcopy(batch)
    ours = copy_value(batch)
    assert type(ours) is type(batch)
    assert names(ours) == names(batch)
    assert texts(ours) == texts(batch)
    assert len(arrays(ours)) > 0 or kind == 'none'
    for array in arrays(ours):  # in place, as some heads do
        array[...] = 1 if array.dtype in (bool, torch.bool) else array + 1
    for sample in ours or ():
        sample.set_metainfo({'img_shape': (1, 1), 'new': 1})
        for name in sample.keys():  # noqa: SIM118 - not a dict
            delattr(sample, name)
    assert names(batch) == names(original)
    assert texts(batch) == texts(original)
    for sample, kept in zip(batch or (), original or (), strict=True):
        assert sample.get('img_shape') == kept.get('img_shape')
