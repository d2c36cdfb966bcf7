"""Ground truth of mmpretrain: labels of whole images."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModel
from mmpretrain.models.heads import ClsHead, ConformerHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmst.core.resize import Size

from .fields import find_field, register_ground_truth
from .image_resize import ImageResize
from .task import Task, register_task

__all__ = ['ClassificationTask', 'share_labels']


@register_task(DataSample)
class ClassificationTask(Task):
    """Images fill the batch; padding between images of different sizes is resized with them.

    ``img_shape`` says nothing about it: transforms of torchvision do not keep it up to date.

    Subnets see the main network's data samples themselves: labels have no size, and mmpretrain's
    heads gather them into new tensors and read no metainfo. Copies of 128 samples would take as
    long as all else that a pass does besides computing. If a sample has any other field, or
    something else is registered for one, the samples are copied.
    """

    def makes_logits(self, head: object) -> bool:
        """See :meth:`Task.makes_logits`. Heads of several labels or tasks are no ``ClsHead``.

        The one of Conformer returns the logits of two classifiers.
        """
        return isinstance(head, ClsHead) and not isinstance(head, ConformerHead)

    def divisor_hw(self, model: BaseModel, main_hw: Size) -> Size:
        """See :meth:`Task.divisor_hw`. The preprocessor's alone, not the network's stride.

        The label of an image has no place that could be missed, and pooled features would see the
        padding: in the papers an image of s x s pixels is what the network gets.
        """
        divisor = self.pad_divisor(model)
        return divisor, divisor

    def is_placeless(self, data_samples: Sequence[DataSample]) -> bool:
        """See :meth:`Task.is_placeless`."""
        return _are_shared(data_samples)

    def copy_samples(self, data_samples: Sequence[DataSample]) -> Sequence[DataSample]:
        """See :meth:`Task.copy_samples`."""
        return data_samples if _are_shared(data_samples) else super().copy_samples(data_samples)

    def resize_samples(
        self,
        model: BaseModel,
        data_samples: Sequence[DataSample],
        resizes: Sequence[ImageResize],
    ) -> Sequence[DataSample]:
        """See :meth:`Task.resize_samples`."""
        if _are_shared(data_samples):
            return data_samples
        return super().resize_samples(model, data_samples, resizes)


@register_ground_truth(DataSample, 'gt_label', 'gt_score')
def share_labels(labels: Tensor, resize: ImageResize) -> Tensor:
    """Returns labels of an image, of shape (n,), or scores (number of classes,), themselves.

    Scores may be soft: mixed by a batch augmentation, which the smaller images went through too.
    """
    return labels


def _are_shared(data_samples: Sequence[DataSample]) -> bool:
    """Tells whether data samples hold nothing but shared labels."""
    names = set().union(*(sample._data_fields for sample in data_samples))
    types = set(map(type, data_samples))
    return all(find_field(cls, name) is share_labels for cls in types for name in names)
