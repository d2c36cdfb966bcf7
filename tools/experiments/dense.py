"""Datasets and data preprocessors of the detection and segmentation experiments.

Configs import it as `experiments.dense`: Python finds it beside `tools/train.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from mmdet.datasets import CocoDataset
from mmdet.models import DetDataPreprocessor
from mmdet.registry import DATASETS as DET_DATASETS
from mmdet.registry import MODELS as DET_MODELS
from mmengine.logging import MessageHub
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS as SEG_MODELS
from torch import nn

from mmst import RandomSmallerInput
from mmst.core import Draw
from mmst.engine.batch import subnet_batch


@DET_DATASETS.register_module()
class CocoSplits(CocoDataset):
    """Images of several COCO files as one data set, with new image ids.

    Each file numbers its images from 1. `CocoMetric` without an annotation file takes the truth
    from the data samples, so the pipeline must keep `instances`.

    Args:
        data_root: Folder of the files and of the images.
        splits: Names of the splits: images are in `SPLIT/`, annotations in
            `annotations/instances_SPLIT.json`.
        **settings: Those of `CocoDataset`.
    """

    def __init__(self, data_root: str, splits: Sequence[str], **settings: Any) -> None:
        self.splits = tuple(splits)
        super().__init__(data_root=data_root, data_prefix={'img': ''}, ann_file='', **settings)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Lists the images of all splits."""
        images = []
        for split in self.splits:
            self.ann_file = f'{self.data_root}/annotations/instances_{split}.json'
            self.data_prefix = {'img': f'{self.data_root}/{split}'}
            images += super().load_data_list()
        return [{**image, 'img_id': number} for number, image in enumerate(images, start=1)]


class _MultiScale(nn.Module):
    """One random size for each training batch, drawn and made as those of subnets are.

    It is the fair control of random smaller inputs: `RandomSmallerInput` draws the size, and images
    and ground truth follow as those of a subnet do. The part of the pixels that is left is logged
    as `train/main/area`.

    Args:
        min_ratio: Smallest ratio of the drawn to the full size; 1 leaves images as they are.
        channels_last: Whether images are laid out channels last: on a CPU convolutions take half
            the time.
        **settings: Those of the library's preprocessor.
    """

    def __init__(self, min_ratio: float = 1.0, channels_last: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.multi_scale = RandomSmallerInput(min_ratio)
        self.channels_last = channels_last

    @property
    def expected_area_ratio(self) -> float:
        """Expected part of the pixels that the network sees in training."""
        return self.multi_scale.expected_area_ratio

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Preprocesses a batch; in training resizes it."""
        data = super().forward(data, training)
        if training and self.multi_scale.changes_size:
            data = {**data, **self._smaller(data['inputs'], data['data_samples'])}
        if self.channels_last:
            data['inputs'] = data['inputs'].contiguous(memory_format=torch.channels_last)
        return data

    def _smaller(self, inputs: torch.Tensor, data_samples: list[Any]) -> dict[str, Any]:
        # Random states follow from the run's seed and the iteration (RandomStateHook).
        draw = Draw(int(torch.randint(2**31, ())), step=0)
        model = SimpleNamespace(data_preprocessor=self)  # all that the resize asks a model for
        batch = subnet_batch(
            model, inputs, data_samples, lambda size_hw: self.multi_scale.sizes(size_hw, draw)
        )
        area = batch.inputs[0, 0].numel() / inputs[0, 0].numel()
        MessageHub.get_current_instance().update_scalar('train/main/area', area)
        return {'inputs': batch.inputs, 'data_samples': batch.data_samples}


@DET_MODELS.register_module()
class MultiScaleDetPreprocessor(_MultiScale, DetDataPreprocessor):
    """mmdet's data preprocessor, with one random size for each training batch."""


@SEG_MODELS.register_module()
class MultiScaleSegPreprocessor(_MultiScale, SegDataPreProcessor):
    """mmseg's data preprocessor, with one random size for each training batch."""
