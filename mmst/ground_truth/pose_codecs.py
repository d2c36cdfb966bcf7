"""Models of mmpose that accept smaller inputs, and the labels that their heads read.

Samples may hold more labels than a head reads. What the model is, is therefore decided by its head
and by the head's codec, never by the labels.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.model import BaseModel
from mmpose import codecs
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.models import heads
from mmpose.structures import PoseDataSample

from .image_resize import ImageResize
from .pose_heatmaps import can_encode
from .remedies import FULL_SIZE, KEEP_CANVAS

__all__ = [
    'check_takes_smaller_images',
    'head_codec',
    'may_make',
    'one_image_reason',
    'one_size_reason',
]

_ONE_SIZE = {
    'its layers fit the feature map of one input size': (
        heads.SimCCHead,
        heads.RTMCCHead,
        heads.RTMWHead,
    ),
    'it sums over the coordinates of heatmaps of one size': (
        heads.IntegralRegressionHead,
        codecs.IntegralRegressionLabel,
    ),
    'each of its labels has a bin for every fraction of a pixel of one input size': (
        codecs.SimCCLabel,
    ),
    'its heatmaps are blurred by kernels of whole pixels, which do not shrink with the input': (
        codecs.MegviiHeatmap,
    ),
}
"""Heads and codecs that need inputs of one size, by the reason."""

_ONE_IMAGE = {
    'its maps describe groups of keypoints, which mmst does not encode': (
        codecs.AssociativeEmbedding,
        codecs.DecoupledHeatmap,
        codecs.SPR,
    ),
    'its heatmaps have a depth, which mmst does not encode': (codecs.Hand3DHeatmap,),
    'it overwrites the annotations with fractions of the image': (codecs.EDPoseLabel,),
    'its inputs are keypoints instead of images': (
        codecs.ImagePoseLifting,
        codecs.MotionBERTLabel,
        codecs.VideoPoseLifting,
    ),
}
"""Codecs whose labels cannot follow an image that changes its size, by the reason."""

BINS = 'keypoint_x_labels'
"""Label that a head of the SimCC family reads."""


def head_codec(model: BaseModel) -> BaseKeypointCodec | None:
    """Returns the codec of a model's head; None if it has none."""
    return getattr(_pose_head(getattr(model, 'head', None)), 'decoder', None)


def may_make(codec: BaseKeypointCodec | None, name: str) -> bool:
    """Returns whether a codec makes the field ``name`` of a sample; an unknown one may make any."""
    tables = [getattr(codec, f'{kind}_mapping_table', {}) for kind in ('label', 'field')]
    made = {field for table in tables for field in table.values()}
    return not made or name in made


def one_size_reason(head: object) -> str | None:
    """Says why a head, or its codec, needs inputs of one size; None if it does not."""
    return _find_reason(head, {**_ONE_SIZE, **_ONE_IMAGE})


def one_image_reason(head: object) -> str | None:
    """Says why a head needs images of one size, even within inputs of one; None if it does not."""
    return _find_reason(head, _ONE_IMAGE)


def check_takes_smaller_images(
    model: BaseModel, sample: PoseDataSample, resize: ImageResize
) -> None:
    """Raises ValueError if the head of a model or its codec does not take smaller images.

    Smaller ones in a canvas of the old size are taken by more heads than smaller inputs.
    """
    codec, head = head_codec(model), getattr(model, 'head', None)
    fixed = one_image_reason(head)
    if fixed is not None:
        raise _error('images', fixed, resize, FULL_SIZE)
    if resize.keeps_canvas:
        return
    reason = one_size_reason(head)
    if reason is not None:
        raise _error('inputs', reason, resize, KEEP_CANVAS)
    if BINS in sample.get('gt_instance_labels', ()) and may_make(codec, BINS):
        raise _error(
            'inputs',
            f'for a head that may read gt_instance_labels.{BINS}: its codec is '
            f'{type(codec).__name__}. If it reads other labels, set model.head.decoder to their '
            'codec',
            resize,
            KEEP_CANVAS,
        )


def _pose_head(head: object) -> object:
    return getattr(head, 'pose_head', head)  # inside one that also predicts visibility


def _find_reason(head: object, table: Mapping[str, tuple[type, ...]]) -> str | None:
    head = _pose_head(head)
    codec = getattr(head, 'decoder', None)
    parts = [head, None if can_encode(codec) else codec]
    for reason, classes in table.items():
        for part in parts:
            if isinstance(part, classes):
                return f'for {type(part).__name__}: {reason}'
    return None


def _error(what: str, reason: str, resize: ImageResize, remedy: str) -> ValueError:
    return ValueError(
        f'{what} must keep their size {reason}. Got {resize.to_hw} instead of {resize.from_hw}; '
        f'{remedy}'
    )
