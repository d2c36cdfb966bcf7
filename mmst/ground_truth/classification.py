"""Ground truth of mmpretrain: labels of whole images."""

from __future__ import annotations

from mmengine.model import BaseModel
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from .task import ImageResize, Task, register_ground_truth, register_task

__all__ = ['ClassificationTask', 'copy_labels']

Size = tuple[int, int]


@register_task(DataSample)
class ClassificationTask(Task):
    """Images fill the batch; padding between images of different sizes is resized with them.

    ``img_shape`` says nothing about it: transforms of torchvision do not keep it up to date.
    """

    def makes_logits(self, head: object) -> bool:
        """See :meth:`Task.makes_logits`. Heads of several labels or tasks are no ``ClsHead``."""
        return isinstance(head, ClsHead)

    def divisor_hw(self, model: BaseModel, main_hw: Size) -> Size:
        """See :meth:`Task.divisor_hw`. The preprocessor's alone, not the network's stride.

        The label of an image has no place that could be missed, and pooled features would see the
        padding: in the papers an image of s x s pixels is what the network gets.
        """
        divisor = self.pad_divisor(model)
        return divisor, divisor


@register_ground_truth(DataSample, 'gt_label', 'gt_score')
def copy_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Copies the labels of an image, of shape (n,), or its scores, of shape (number of classes,).

    Scores may be soft: mixed by a batch augmentation, which the smaller images went through too.
    """
    return labels.clone()
