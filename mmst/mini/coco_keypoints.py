"""Writer of scenes in the layout of COCO keypoints (2017).

root/train2017/000000000001.jpg ...
root/val2017/000000500001.jpg ...
root/annotations/person_keypoints_train2017.json, person_keypoints_val2017.json
root/person_detection_results/COCO_val2017_detections_AP_H_56_person.json

The last file, which is not COCO's, holds the boxes that top-down methods are
evaluated on, by custom those of one detector of people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .coco import instance_records, write_annotations, write_pictures
from .coco_categories import COCO_CATEGORIES
from .figure import KEYPOINTS
from .scene import Scene, SceneObject

__all__ = ['write_coco_keypoints']

_DETECTIONS = Path('person_detection_results', 'COCO_val2017_detections_AP_H_56_person.json')
_BONES = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
_PERSON = {
    **next(category for category in COCO_CATEGORIES if category['name'] == 'person'),
    'keypoints': list(KEYPOINTS),
    'skeleton': [list(bone) for bone in _BONES],
}


def write_coco_keypoints(root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures, keypoint annotations and, for ``'val'``, detected boxes.

    Args:
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``; read once, in order.
    """
    for split, scenes in splits.items():
        images, annotations, detections = [], [], []
        for image, scene in write_pictures(root, split, scenes):
            people = [obj for obj in scene.objects if obj.category == 'person']
            records = instance_records(image['id'], people)
            for record, person in zip(records, people, strict=True):
                record.update(_keypoint_fields(person))
            images.append(image)
            annotations += records
            detections += _detections(image, records)
        write_annotations(root, f'person_keypoints_{split}2017', images, annotations, [_PERSON])
        if split == 'val':
            (root / _DETECTIONS).parent.mkdir()
            (root / _DETECTIONS).write_text(json.dumps(detections))


def _keypoint_fields(person: SceneObject) -> dict[str, Any]:
    keypoints = np.zeros((len(KEYPOINTS), 3)) if person.keypoints is None else person.keypoints
    return {
        'num_keypoints': int((keypoints[:, 2] > 0).sum()),
        'keypoints': np.round(keypoints).astype(int).flatten().tolist(),
    }


def _detections(image: dict[str, Any], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Detections of a good detector: slightly shifted boxes, and a false one of low score."""
    rng = np.random.default_rng(image['id'])
    size = np.array([image['width'], image['height']])
    corner = rng.uniform(0, 0.6, 2) * size
    boxes = [(corner, rng.uniform(0.2, 0.4, 2) * size, rng.uniform(0.05, 0.3))]
    for record in records:
        if not record['iscrowd']:
            low, extent = np.array(record['bbox'][:2]), np.array(record['bbox'][2:])
            shift, stretch = rng.normal(0, 0.02, 2), rng.normal(1.02, 0.03, 2)
            boxes.append((low + shift * extent, stretch * extent, rng.uniform(0.7, 1)))
    return [
        {
            'bbox': [round(float(side), 2) for side in (*low, *extent)],
            'category_id': _PERSON['id'],
            'image_id': image['id'],
            'score': round(float(score), 4),
        }
        for low, extent, score in boxes
    ]
