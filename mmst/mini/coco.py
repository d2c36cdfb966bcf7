"""Writes scenes in the layout of COCO detection (2017).

root/train2017/000000000001.jpg ...
root/val2017/000000500001.jpg ...
root/annotations/instances_train2017.json, instances_val2017.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .coco_categories import COCO_CATEGORIES
from .scene import Scene, SceneObject

__all__ = ['encode_rle', 'trace_polygons', 'write_coco']

_FIRST_IMAGE_ID = {'train': 1, 'val': 500001}  # unique over the splits, as in COCO
_CATEGORY_IDS = {category['name']: category['id'] for category in COCO_CATEGORIES}
_TRACE_SCALE = 4
_JPEG_QUALITY = 92
_DATE = '2024-01-01 00:00:00'
_LICENSES = [
    {'url': 'https://www.apache.org/licenses/LICENSE-2.0', 'id': 1, 'name': 'Apache License 2.0'}
]
_INFO = {
    'description': 'mmst mini data: drawn objects in the layout of COCO 2017',
    'url': '',
    'version': '1.0',
    'year': 2024,
    'contributor': 'mmst',
    'date_created': '2024/01/01',
}


def write_coco(root: Path, splits: Mapping[str, Iterable[Scene]]) -> None:
    """Writes pictures and instance annotations.

    Args:
        root: An existing, empty folder.
        splits: The scenes of ``'train'`` and of ``'val'``; read once, in order.
    """
    (root / 'annotations').mkdir()
    for split, scenes in splits.items():
        image_folder = root / f'{split}2017'
        image_folder.mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image_id, scene in enumerate(scenes, start=_FIRST_IMAGE_ID[split]):
            image = _image_record(image_id, scene)
            cv2.imwrite(
                str(image_folder / image['file_name']),
                scene.image,
                [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
            )
            images.append(image)
            annotations += _annotations(image_id, scene)
        content = dict(
            info=_INFO,
            licenses=_LICENSES,
            images=images,
            annotations=annotations,
            categories=list(COCO_CATEGORIES),
        )
        (root / 'annotations' / f'instances_{split}2017.json').write_text(json.dumps(content))


def trace_polygons(mask: np.ndarray) -> list[np.ndarray]:
    """Traces the outlines of a mask's connected parts.

    A COCO polygon has no holes: what lies in front, inside an object's outline,
    is inside its polygon too.

    Args:
        mask: (H, W) bool.

    Returns:
        One (P, 2) float64 array for each part, in x, y pixel coordinates in which
        the first pixel covers 0 to 1; rounded to 1/100 pixel. Specks that have
        no area are left out.
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    large = padded.repeat(_TRACE_SCALE, axis=0).repeat(_TRACE_SCALE, axis=1)
    contours, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for contour in contours:
        outline = cv2.approxPolyDP(contour, 0.6 * _TRACE_SCALE, closed=True)[:, 0]
        points = np.round((outline + 0.5) / _TRACE_SCALE - 1, 2)
        if len(points) >= 3 and _polygon_area(points) >= 1:
            polygons.append(points)
    return polygons


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """Encodes a (H, W) bool mask as COCO's uncompressed run lengths.

    Returns:
        ``size`` [H, W] and ``counts``: lengths of runs of 0 and 1 in turn, column
        by column, the first one of zeros (0 if the mask starts with a one).
    """
    flat = mask.flatten(order='F').astype(np.int8)
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return {'size': [int(v) for v in mask.shape], 'counts': [int(v) for v in counts]}


def _image_record(image_id: int, scene: Scene) -> dict[str, Any]:
    height, width = scene.image.shape[:2]
    return {
        'license': 1,
        'file_name': f'{image_id:012d}.jpg',
        'coco_url': '',
        'height': height,
        'width': width,
        'date_captured': _DATE,
        'flickr_url': '',
        'id': image_id,
    }


def _annotations(image_id: int, scene: Scene) -> list[dict[str, Any]]:
    records = []
    for obj in scene.objects:
        shape = _crowd_shape(obj) if obj.crowd else _polygon_shape(obj)
        records.append(
            {
                **shape,
                'iscrowd': int(obj.crowd),
                'image_id': image_id,
                'category_id': _CATEGORY_IDS[obj.category],
                'id': image_id * 100 + len(records),
            }
        )
    return records


def _polygon_shape(obj: SceneObject) -> dict[str, Any]:
    polygons = trace_polygons(obj.mask)
    points = np.concatenate(polygons)
    return {
        'segmentation': [polygon.flatten().tolist() for polygon in polygons],
        'area': round(sum(_polygon_area(polygon) for polygon in polygons), 4),
        'bbox': _bbox(points.min(axis=0), points.max(axis=0)),
    }


def _crowd_shape(obj: SceneObject) -> dict[str, Any]:
    ys, xs = np.nonzero(obj.mask)
    return {
        'segmentation': encode_rle(obj.mask),
        'area': int(obj.mask.sum()),
        'bbox': _bbox(np.array([xs.min(), ys.min()]), np.array([xs.max() + 1, ys.max() + 1])),
    }


def _bbox(low: np.ndarray, high: np.ndarray) -> list[float]:
    """COCO's [x, y, width, height] of the box between two corners (x, y)."""
    return [round(float(v), 2) for v in (*low, *(high - low))]


def _polygon_area(points: np.ndarray) -> float:
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
