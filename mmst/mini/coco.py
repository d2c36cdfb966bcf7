"""Writer of scenes in the layout of COCO detection (2017).

root/train2017/000000000001.jpg ...
root/val2017/000000500001.jpg ...
root/annotations/instances_train2017.json, instances_val2017.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .coco_categories import COCO_CATEGORIES
from .scene import Scene, SceneObject

__all__ = [
    'encode_rle',
    'instance_records',
    'mask_bbox',
    'trace_polygons',
    'write_annotations',
    'write_coco',
    'write_pictures',
]

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
    for split, scenes in splits.items():
        images, annotations = [], []
        for image, scene in write_pictures(root, split, scenes):
            images.append(image)
            annotations += instance_records(image['id'], scene.objects)
        write_annotations(root, f'instances_{split}2017', images, annotations, COCO_CATEGORIES)


def write_pictures(
    root: Path, split: str, scenes: Iterable[Scene]
) -> Iterator[tuple[dict[str, Any], Scene]]:
    """Writes the pictures of a split, one by one.

    Yields:
        The record of each picture as it stands in annotation files, and its scene.
    """
    folder = root / f'{split}2017'
    folder.mkdir()
    for image_id, scene in enumerate(scenes, start=_FIRST_IMAGE_ID[split]):
        image = _image_record(image_id, scene)
        path = str(folder / image['file_name'])
        cv2.imwrite(path, scene.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        yield image, scene


def write_annotations(
    root: Path,
    name: str,
    images: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    categories: Sequence[dict[str, Any]],
) -> None:
    """Writes ``root/annotations/<name>.json`` with the given records."""
    content = dict(
        info=_INFO,
        licenses=_LICENSES,
        images=images,
        annotations=annotations,
        categories=categories,
    )
    (root / 'annotations').mkdir(exist_ok=True)
    (root / 'annotations' / f'{name}.json').write_text(json.dumps(content))


def instance_records(image_id: int, objects: Iterable[SceneObject]) -> list[dict[str, Any]]:
    """Describes the objects of a picture as entries of ``annotations``, in their order."""
    records: list[dict[str, Any]] = []
    for obj in objects:
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
    large = cv2.resize(
        padded, None, fx=_TRACE_SCALE, fy=_TRACE_SCALE, interpolation=cv2.INTER_NEAREST
    )
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


def mask_bbox(mask: np.ndarray) -> list[int]:
    """COCO's [x, y, width, height] of the pixels of a (H, W) bool mask that has some."""
    ys, xs = np.nonzero(mask)
    left, top = int(xs.min()), int(ys.min())
    return [left, top, int(xs.max()) + 1 - left, int(ys.max()) + 1 - top]


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


def _polygon_shape(obj: SceneObject) -> dict[str, Any]:
    polygons = trace_polygons(obj.mask)
    points = np.concatenate(polygons)
    return {
        'segmentation': [polygon.flatten().tolist() for polygon in polygons],
        'area': round(sum(_polygon_area(polygon) for polygon in polygons), 4),
        'bbox': _bbox(points.min(axis=0), points.max(axis=0)),
    }


def _crowd_shape(obj: SceneObject) -> dict[str, Any]:
    return {
        'segmentation': encode_rle(obj.mask),
        'area': int(obj.mask.sum()),
        'bbox': [float(side) for side in mask_bbox(obj.mask)],
    }


def _bbox(low: np.ndarray, high: np.ndarray) -> list[float]:
    """COCO's [x, y, width, height] of the box between two corners (x, y)."""
    return [round(float(v), 2) for v in (*low, *(high - low))]


def _polygon_area(points: np.ndarray) -> float:
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
