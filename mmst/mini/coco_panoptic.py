"""Writer of scenes in the layout of COCO panoptic segmentation (2017).

The files of :mod:`mmst.mini.coco`, and

root/annotations/panoptic_train2017.json, panoptic_val2017.json
root/annotations/panoptic_train2017/000000000001.png ...
root/annotations/panoptic_val2017/000000500001.png ...

A pixel of colour (R, G, B) belongs to the segment R + 256 G + 256² B of its picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .coco import instance_records, mask_bbox, write_annotations, write_pictures
from .coco_categories import COCO_CATEGORIES, PANOPTIC_CATEGORIES
from .scene import Scene

__all__ = ['write_coco_panoptic']

_CATEGORY_IDS = {category['name']: category['id'] for category in PANOPTIC_CATEGORIES}
# Odd, so that the ids of a picture differ; large, so that all three bytes of an id are used.
_ID_STEP = 4_736_989


def write_coco_panoptic(root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures, instance annotations and panoptic annotations.

    Args:
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``; read once, in order.
    """
    for split, scenes in splits.items():
        folder = root / 'annotations' / f'panoptic_{split}2017'
        folder.mkdir(parents=True)
        images, instances, segmentations = [], [], []
        for image, scene in write_pictures(root, split, scenes):
            images.append(image)
            instances += instance_records(image['id'], scene.objects)
            segmentations.append(_write_segments(folder, image['id'], scene))
        write_annotations(root, f'instances_{split}2017', images, instances, COCO_CATEGORIES)
        write_annotations(root, f'panoptic_{split}2017', images, segmentations, PANOPTIC_CATEGORIES)


def _write_segments(folder: Path, image_id: int, scene: Scene) -> dict[str, Any]:
    """Writes the map of a picture's segments; returns its entry of ``annotations``."""
    ids = np.zeros(scene.image.shape[:2], np.int64)  # 0: of no segment
    segments = []
    for number, part in enumerate((*scene.objects, *scene.stuff), start=1):
        segment_id = number * _ID_STEP % 256**3
        ids[part.mask] = segment_id
        segments.append(
            {
                'id': segment_id,
                'category_id': _CATEGORY_IDS[part.category],
                'iscrowd': int(part.crowd),
                'bbox': mask_bbox(part.mask),
                'area': int(part.mask.sum()),
            }
        )
    file_name = f'{image_id:012d}.png'
    bgr = np.stack([ids // 256**2, ids // 256 % 256, ids % 256], axis=-1).astype(np.uint8)
    cv2.imwrite(str(folder / file_name), bgr)
    return {'segments_info': segments, 'file_name': file_name, 'image_id': image_id}
