"""Dataset and data preprocessor of the classification experiments.

Configs import it as `experiments.classification`: Python finds it beside `tools/train.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MessageHub
from mmpretrain.datasets import BaseDataset
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import DATASETS, MODELS

from mmst import RandomSmallerInput
from mmst.core import Draw, resize_batch

SUFFIXES = ('.jpg', '.jpeg', '.png')


@DATASETS.register_module()
class ClassFolders(BaseDataset):
    """Images in one folder per class, where a split may have no image of some classes.

    mmpretrain's `CustomDataset` numbers the folders that it finds, so a split that lacks a class
    gets other labels than the others. Here the folders of one split name the classes of all.

    Args:
        data_root: Folder of the splits.
        data_prefix: Folder of this split.
        classes_from: Folder of the split that has all classes; labels are the positions of its
            folders in the alphabet.
        pipeline: Transforms.
        test_mode: Whether an image that cannot be read is an error.

    Raises:
        ValueError: A folder of this split is no class, or there is no image.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str,
        classes_from: str = 'train',
        pipeline: Sequence[dict[str, Any]] = (),
        test_mode: bool = False,
    ) -> None:
        folders = filter(Path.is_dir, Path(data_root, classes_from).iterdir())
        super().__init__(
            ann_file='',
            classes=sorted(folder.name for folder in folders),
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=pipeline,
            test_mode=test_mode,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Lists the images with their labels."""
        labels = self.class_to_idx
        files = sorted(Path(self.img_prefix).glob('*/*'))
        files = [file for file in files if file.suffix.lower() in SUFFIXES]
        unknown = sorted({file.parent.name for file in files} - set(labels))
        if unknown or not files:
            raise ValueError(
                f'{self.img_prefix} must have images in folders of the {len(labels)} classes of '
                f'the split that names them, got {len(files)} images, unknown folders {unknown}'
            )
        return [dict(img_path=str(file), gt_label=labels[file.parent.name]) for file in files]


@MODELS.register_module()
class MultiScalePreprocessor(ClsDataPreprocessor):
    """mmpretrain's data preprocessor, with one random size for each training batch.

    mmpretrain has no such training by batches (mmdet's is `BatchSyncRandomResize`). Sizes are drawn
    and images resized as those of subnets are, so that it is their fair control. The part of the
    pixels that is left is logged as `train/main/area`.

    Args:
        mean: Mean of each channel.
        std: Standard deviation of each channel.
        to_rgb: Whether images come as BGR.
        min_ratio: Smallest ratio of the drawn to the full size; 1 leaves images as they are.
        channels_last: Whether images are laid out channels last: on a CPU convolutions take half
            the time.
        batch_augments: mmpretrain's `train_cfg.augments`, which its classifier passes on.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        to_rgb: bool = True,
        min_ratio: float = 1.0,
        channels_last: bool = True,
        batch_augments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(mean=mean, std=std, to_rgb=to_rgb, batch_augments=batch_augments)
        self.sizes = RandomSmallerInput(min_ratio)
        self.channels_last = channels_last

    @property
    def expected_area_ratio(self) -> float:
        """Expected part of the pixels that the network sees in training."""
        return self.sizes.expected_area_ratio

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Preprocesses a batch; in training resizes it."""
        data = super().forward(data, training)
        inputs = data['inputs']
        if training and self.sizes.changes_size:
            # Random states follow from the run's seed and the iteration (RandomStateHook).
            draw = int(torch.randint(2**31, ()))
            full_hw = tuple(inputs.shape[-2:])
            *_, size_hw = self.sizes.sizes(full_hw, Draw(draw, step=0, index=0))
            inputs = resize_batch(inputs, size_hw)
            area = size_hw[0] * size_hw[1] / (full_hw[0] * full_hw[1])
            MessageHub.get_current_instance().update_scalar('train/main/area', area)
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return dict(data, inputs=inputs)
