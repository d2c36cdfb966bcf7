"""Upstream's models made small, and images with ground truth for them."""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import Dataset

ITERATIONS, BATCH_SIZE = 2, 2


@dataclass(frozen=True)
class Case:
    """An upstream model, what makes it small, and how its subnets are trained.

    Args:
        config: Upstream's config, by the name of its library and its path.
        changes: Its changed entries under ``model``, by their names with dots.
        logits: Whether subnets learn from the main network's logits instead of the ground truth.
        min_ratio: Smallest ratio of their input sizes.
        size_hw: Of the images.
        needs: An optional package that upstream imports for it.
    """

    config: str
    changes: dict[str, Any] = field(default_factory=dict)
    logits: bool = False
    min_ratio: float = 0.5
    size_hw: tuple[int, int] = (64, 96)
    needs: str = 'mmengine'

    @property
    def library(self) -> str:
        return self.config.partition('::')[0]

    def model(self, stimulated: bool) -> Config:
        """The config of the model, its backbone upstream's own or built by STBackbone."""
        cfg = get_config(self.config)
        model = cfg.model
        model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
        _adapt(model)
        whole = Config({'model': model})
        whole.merge_from_dict({f'model.{name}': value for name, value in self.changes.items()})
        if stimulated:
            whole.model.backbone.update(type='mmst.STBackbone', wraps=whole.model.backbone.type)
        return whole.model

    def hook(self) -> dict[str, Any]:
        """The config of the hook that trains two subnets per iteration."""
        supervision = {'type': 'mmst.GroundTruthSupervision'}
        if self.logits:
            loss = {'type': 'mmst.KLMinusLoss'}
            supervision = {'type': 'mmst.LogitSupervision', 'loss': loss}
        return {
            'type': 'mmst.StimulativeHook',
            'num_subnets': 2,
            'supervision': supervision,
            'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': self.min_ratio},
        }


def _adapt(node: Any) -> None:
    """Takes out pretrained weights; norm layers become those of one process, and learn."""
    if isinstance(node, dict):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        for name, value in (('pretrained', None), ('norm_eval', False), ('frozen_stages', -1)):
            if name in node:
                node[name] = value
    elif not isinstance(node, (list, tuple)):
        return
    for child in node.values() if isinstance(node, dict) else node:
        _adapt(child)


class Samples(Dataset):
    """Images of noise with the ground truth that a library's pipeline packs beside them."""

    metainfo = {'classes': tuple('abcde')}

    def __init__(self, case: Case) -> None:
        make = {
            'mmdet': _detection_sample,
            'mmseg': _segmentation_sample,
            'mmpose': _pose_sample,
            'mmpretrain': _classification_sample,
        }[case.library]
        model = case.model(stimulated=False)
        self.samples = []
        for seed in range(ITERATIONS * BATCH_SIZE):
            rng = np.random.default_rng(seed)
            image = rng.integers(0, 256, (*case.size_hw, 3), dtype=np.uint8)
            self.samples.append(make(rng, image, model))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return copy.deepcopy(self.samples[index])


def _pack(image: np.ndarray, sample: Any, **metainfo: Any) -> dict[str, Any]:
    size = {'img_shape': image.shape[:2], 'ori_shape': image.shape[:2]}
    sample.set_metainfo({**size, **metainfo})
    return {'inputs': torch.from_numpy(image.transpose(2, 0, 1).copy()), 'data_samples': sample}


def _detection_sample(rng, image, model) -> dict[str, Any]:
    """Three ellipses: boxes, and what else the model learns from (masks, a panoptic map)."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    height, width = image.shape[:2]
    masks = np.zeros((3, height, width), np.uint8)
    for mask in masks:
        centre = (int(rng.integers(20, width - 20)), int(rng.integers(20, height - 20)))
        axes = [int(side) for side in rng.integers(8, 20, 2)]
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    ends = [(ys.min(), ys.max() + 1, xs.min(), xs.max() + 1) for ys, xs in map(np.nonzero, masks)]
    boxes = np.array([(left, top, right, bottom) for top, bottom, left, right in ends], np.float32)
    labels = torch.from_numpy(rng.integers(0, 5, 3))
    sample = DetDataSample()
    sample.gt_instances = InstanceData(bboxes=torch.from_numpy(boxes), labels=labels)
    if model.data_preprocessor.get('pad_mask') or 'mask_head' in model.get('roi_head', {}):
        sample.gt_instances.masks = BitmapMasks(masks, height, width)
    sample.ignored_instances = sample.gt_instances[:0]
    if model.data_preprocessor.get('pad_seg'):
        ground = np.full((1, height, width), 80, np.uint8)
        ground[:, : height // 2] = 81
        for mask, label in zip(masks, labels.numpy(), strict=True):
            ground[:, mask > 0] = label
        sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(ground))
    return _pack(image, sample, img_id=0, scale_factor=(1.0, 1.0))


def _segmentation_sample(rng, image, model) -> dict[str, Any]:
    """Classes in blocks of 8 x 8 pixels."""
    from mmseg.structures import SegDataSample

    blocks = rng.integers(0, 19, (image.shape[0] // 8, image.shape[1] // 8))
    labels = np.kron(blocks, np.ones((8, 8), np.int64))
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
    return _pack(image, sample)


def _pose_sample(rng, image, model) -> dict[str, Any]:
    """A person who fills the image, through mmpose's own pipeline."""
    height, width = image.shape[:2]
    transforms = (
        {'type': 'GetBBoxCenterScale'},
        {'type': 'TopdownAffine', 'input_size': (width, height)},
        {'type': 'GenerateTarget', 'encoder': dict(model.head.decoder)},
        {'type': 'PackPoseInputs', 'pack_transformed': True},
    )
    return Compose([TRANSFORMS.build(transform) for transform in transforms])(
        {
            'img': image,
            'img_shape': image.shape[:2],
            'ori_shape': image.shape[:2],
            'bbox': np.array([[4, 4, width - 4, height - 4]], np.float32),
            'bbox_score': np.ones(1, np.float32),
            'keypoints': rng.uniform(8, min(height, width) - 8, (1, 17, 2)).astype(np.float32),
            'keypoints_visible': np.ones((1, 17), np.float32),
        }
    )


def _classification_sample(rng, image, model) -> dict[str, Any]:
    """One of the first five classes."""
    from mmpretrain.structures import DataSample

    return _pack(image, DataSample().set_gt_label(int(rng.integers(0, 5))))


@pytest.fixture
def case(request) -> Case:
    return Case(**request.param)


@pytest.fixture
def library_scope(case, mmdet_scope):
    """The default scope is that of the case's library, whose modules are registered."""
    pytest.importorskip(case.library)
    pytest.importorskip(case.needs)
    importlib.import_module(f'{case.library}.utils').register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(case.library):
        yield


@pytest.fixture
def train(case, library_scope, make_runner):
    """Trains the model of the case at learning rate 0, plainly or with subnets."""

    def train(stimulated: bool, observer: Hook) -> Runner:
        runner = make_runner(
            case.hook() if stimulated else None,
            model=case.model(stimulated),
            max_iters=ITERATIONS,
            lr=0.0,
            train_dataloader={
                'dataset': Samples(case),
                'batch_size': BATCH_SIZE,
                'num_workers': 0,
                'sampler': {'type': 'DefaultSampler', 'shuffle': False},
                'collate_fn': {'type': 'pseudo_collate'},
            },
            custom_hooks=[observer],
            default_scope=case.library,
        )
        runner.train()
        return runner

    return train
