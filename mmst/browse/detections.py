"""Detections of a trained mmdet detector beside the ground truth, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from .sheet import Column
from .truth import drawn

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample

__all__ = ['detect', 'detection_column']


def detect(
    cfg: Config, checkpoint: str | Path, num_images: int
) -> tuple[list[DetDataSample], dict[str, Any]]:
    """Runs a detector on validation images, on the CPU.

    Args:
        cfg: mmdet config that the checkpoint was trained with.
        checkpoint: Checkpoint file.
        num_images: How many images, taken evenly from those with objects.

    Returns:
        A data sample per image with its ``img_path``, its true and its found boxes in pixels of
        the file, ignored objects (crowds) left out; and the metainfo of the data set.
    """
    from mmdet.apis import inference_detector, init_detector
    from mmdet.registry import DATASETS

    model = init_detector(cfg, str(checkpoint), device='cpu')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    truth = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        instances = [entry for entry in info['instances'] if not entry['ignore_flag']]
        if instances:
            truth[info['img_path']] = instances
    chosen = list(truth)[:: max(1, len(truth) // num_images)][:num_images]
    samples = inference_detector(model, chosen)
    for path, sample in zip(chosen, samples, strict=True):
        # Not what the pipeline leaves: there the boxes may have followed a resize.
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([entry['bbox'] for entry in truth[path]]),
            labels=torch.tensor([entry['bbox_label'] for entry in truth[path]]),
        )
        sample.set_metainfo({'img_path': path})
    return samples, dataset.metainfo


def detection_column(
    sample: DetDataSample, metainfo: Mapping[str, Any], min_score: float = 0.7
) -> Column:
    """Draws the true and the found boxes of an image.

    Args:
        sample: One of :func:`detect`, which is not modified.
        metainfo: That of the data set: names of the classes, colours.
        min_score: Only detections above this score are drawn.

    Returns:
        The pictures ``truth`` and ``found``, in the size of the file.
    """
    import mmcv
    from mmdet.visualization import DetLocalVisualizer

    visualizer = DetLocalVisualizer('mmst.detections', line_width=2)
    visualizer.dataset_meta = dict(metainfo)
    picture = mmcv.imread(sample.img_path, channel_order='rgb')
    both = drawn(visualizer, picture, sample, draw_pred=True, pred_score_thr=min_score)
    truth, found = np.hsplit(both, 2)  # mmdet puts them side by side
    return Column([Path(sample.img_path).name], {'truth': truth, 'found': found})
