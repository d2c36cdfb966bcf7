"""Ground truth of a training batch, drawn by the visualizer of its library.

A library is imported when a data sample of it is first drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from mmengine.visualization import Visualizer
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from mmpose.structures import PoseDataSample

__all__ = ['SMALL', 'Drawer', 'drawn', 'is_small', 'truth_drawer']

Drawer = Callable[[np.ndarray, BaseDataElement], dict[str, np.ndarray]]
"""Maps a picture (H, W, 3), uint8 RGB, and the data sample of this very picture to pictures of the
same size with its ground truth, by what they show. The data sample is not modified."""

NAME = 'mmst.browse'
SMALL = 256
"""Shorter side in pixels under which a picture has no room for names of classes."""

_OPACITY = 0.5
_IGNORED = 255


def truth_drawer(sample: object, metainfo: Mapping[str, Any]) -> Drawer | None:
    """Returns the drawer of ground truth for data samples of this kind, None if there is none.

    Args:
        sample: A data sample. Which library it is of is told from its class and their parents.
        metainfo: That of the data set: names of the classes, colours.
    """
    for cls in type(sample).__mro__:
        make = _DRAWERS.get(cls.__module__.partition('.')[0])
        if make is not None:
            return make(dict(metainfo))
    return None


def is_small(picture: np.ndarray) -> bool:
    """Returns whether a picture is so small that class names would hide the objects."""
    return min(picture.shape[:2]) < SMALL


def drawn(
    visualizer: Visualizer,
    picture: np.ndarray,
    sample: BaseDataElement,
    draw_pred: bool = False,
    **options: float,
) -> np.ndarray:
    """Draws the ground truth in a sample, and with ``draw_pred`` the predictions beside it.

    Args:
        visualizer: A visualizer of the library of the sample.
        picture: Picture (H, W, 3), uint8 RGB.
        sample: Data sample of this picture, which is not modified.
        draw_pred: Whether predictions are drawn.
        **options: Other arguments of the visualizer's ``add_datasample``.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.* out of bounds')  # said at every border
        visualizer.add_datasample(
            visualizer.instance_name, picture, sample, draw_pred=draw_pred, **options
        )
    return visualizer.get_image()


def _detection_drawer(metainfo: dict[str, Any]) -> Drawer:
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import get_box_tensor
    from mmdet.visualization import DetLocalVisualizer

    visualizer = DetLocalVisualizer(NAME, line_width=1, alpha=_OPACITY)
    visualizer.dataset_meta = metainfo

    def draw(picture: np.ndarray, sample: DetDataSample) -> dict[str, np.ndarray]:
        pictures = {}
        if 'gt_instances' in sample:
            part = DetDataSample(gt_instances=sample.gt_instances[:])
            instances = part.gt_instances
            if 'bboxes' in instances:
                instances.bboxes = get_box_tensor(instances.bboxes)
            if 'masks' in instances:
                instances.masks = instances.masks.pad(picture.shape[:2])
            if is_small(picture):
                instances.label_names = [''] * len(instances)
            has_any = len(instances) > 0
            pictures['instances'] = drawn(visualizer, picture, part) if has_any else picture
        if 'gt_sem_seg' in sample:
            part = DetDataSample(gt_sem_seg=_padded_map(sample.gt_sem_seg, picture))
            if is_small(picture):
                part.gt_sem_seg.set_metainfo({'label_names': [''] * (_IGNORED + 1)})
            pictures['semantic map'] = drawn(visualizer, picture, part)
        return pictures

    return draw


def _segmentation_drawer(metainfo: dict[str, Any]) -> Drawer:
    from mmseg.structures import SegDataSample
    from mmseg.visualization import SegLocalVisualizer

    visualizer = SegLocalVisualizer(NAME, alpha=_OPACITY)
    visualizer.dataset_meta = metainfo

    def draw(picture: np.ndarray, sample: SegDataSample) -> dict[str, np.ndarray]:
        pictures = {}
        if 'gt_sem_seg' in sample:
            part = SegDataSample(gt_sem_seg=sample.gt_sem_seg)
            # Names of classes would hide what is under them, and take seconds to place.
            pictures['semantic map'] = drawn(visualizer, picture, part, with_labels=False)
        if 'gt_depth_map' in sample:
            depths = PixelData(data=sample.gt_depth_map.data.float())
            both = drawn(visualizer, picture, SegDataSample(gt_depth_map=depths))
            pictures['depth map'] = both[-len(picture) :]  # it stands under the picture
        return pictures

    return draw


def _pose_drawer(metainfo: dict[str, Any]) -> Drawer:
    from mmpose.structures import PoseDataSample
    from mmpose.visualization import PoseLocalVisualizer

    visualizer = PoseLocalVisualizer(NAME, radius=2)
    visualizer.set_dataset_meta(metainfo)

    def draw(picture: np.ndarray, sample: PoseDataSample) -> dict[str, np.ndarray]:
        pictures = {}
        keypoints = _input_keypoints(sample, picture)
        if keypoints is not None:
            part = PoseDataSample(gt_instances=keypoints)
            pictures['keypoints'] = drawn(visualizer, picture, part)
        heatmaps = sample.gt_fields.get('heatmaps') if 'gt_fields' in sample else None
        if isinstance(heatmaps, Tensor):
            maximum = heatmaps.float().amax(dim=0)[None, None]
            maximum = F.interpolate(maximum, picture.shape[:2], mode='bilinear')[0]
            pictures['heatmaps'] = visualizer.draw_featmap(maximum, picture, alpha=_OPACITY)
        return pictures

    return draw


def _classification_drawer(metainfo: dict[str, Any]) -> Drawer:
    from mmpretrain.structures import DataSample
    from mmpretrain.visualization import UniversalVisualizer

    visualizer = UniversalVisualizer(NAME)
    names = metainfo.get('classes')

    def draw(picture: np.ndarray, sample: DataSample) -> dict[str, np.ndarray]:
        scores = sample.get('gt_score')
        if scores is None and 'gt_label' not in sample:
            return {}
        # Batch augmentations mix scores and leave labels alone; losses then read the scores.
        labels = sample.gt_label if scores is None else scores.nonzero()[:, 0]
        texts = None
        if names is not None or scores is not None:
            parts = {label: [str(names[label])] if names else [] for label in labels.tolist()}
            for label in parts if scores is not None else ():
                parts[label].append(f'{scores[label]:.2f}')
            texts = {label: ', '.join(part) for label, part in parts.items()}
        part = DataSample().set_gt_label(labels)
        return {'labels': visualizer.visualize_cls(picture, part, classes=texts)}

    return draw


_DRAWERS: dict[str, Callable[[dict[str, Any]], Drawer]] = {
    'mmdet': _detection_drawer,
    'mmpose': _pose_drawer,
    'mmpretrain': _classification_drawer,
    'mmseg': _segmentation_drawer,
}


def _padded_map(labels: PixelData, picture: np.ndarray) -> PixelData:
    """Pads a map of shape (1, h, w), where the preprocessor did not; nothing is drawn there."""
    (height, width), values = picture.shape[:2], labels.sem_seg
    padding = (0, width - values.shape[-1], 0, height - values.shape[-2])
    return PixelData(sem_seg=F.pad(values, padding, value=_IGNORED))


def _input_keypoints(sample: PoseDataSample, picture: np.ndarray) -> InstanceData | None:
    """Keypoints in pixels of the network's input: ``gt_instances`` may have the original's only."""
    instances, labels = sample.gt_instances, sample.get('gt_instance_labels', {})
    if 'keypoint_labels' in labels:  # as fractions of its size
        keypoints = labels.keypoint_labels.numpy() * picture.shape[1::-1]
    elif 'transformed_keypoints' in instances:
        keypoints = instances.transformed_keypoints
    else:
        return None
    visible = instances.get('keypoints_visible', np.ones(keypoints.shape[:2], np.float32))
    if 'keypoint_weights' in labels:  # 0 where a loss ignores the keypoint
        visible = visible * (labels.keypoint_weights.numpy() > 0)
    return InstanceData(keypoints=keypoints, keypoints_visible=visible)
