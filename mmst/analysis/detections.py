"""What a trained mmdet detector finds, drawn beside the ground truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import cv2
    import numpy as np
except ImportError as error:
    raise ImportError(
        'detections are drawn with NumPy and OpenCV; install them with: '
        'pip install numpy opencv-python-headless'
    ) from error

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ['Boxes', 'DetectedImage', 'detect', 'draw_boxes', 'draw_detections']

_GAP = 8  # pixels between pictures
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Boxes:
    """Boxes in one image.

    Attributes:
        corners: (N, 4) float, x1 y1 x2 y2 in pixels.
        names: N category names.
        scores: (N,) float in [0, 1], or None for ground truth.
    """

    corners: np.ndarray
    names: Sequence[str]
    scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class DetectedImage:
    """An image, (H, W, 3) uint8 BGR, what is in it and what was found in it."""

    image: np.ndarray
    truth: Boxes
    found: Boxes


def detect(
    cfg: Config, checkpoint: str | Path, num_images: int, min_score: float = 0.7
) -> list[DetectedImage]:
    """Runs a detector on validation images.

    Args:
        cfg: mmdet config that the checkpoint was trained with.
        checkpoint: Checkpoint file.
        num_images: How many images, taken evenly from those with objects.
        min_score: Detections below this score are left out.

    Returns:
        The images with true and found boxes, in the original image's pixels.
        Ignored objects (crowds) are not among the true ones.
    """
    from mmdet.apis import inference_detector, init_detector
    from mmdet.registry import DATASETS

    model = init_detector(cfg, str(checkpoint), device='cpu')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    infos = [info for info in infos if _true_instances(info)]
    chosen = infos[:: max(1, len(infos) // num_images)][:num_images]
    classes = dataset.metainfo['classes']
    results = inference_detector(model, [info['img_path'] for info in chosen])
    return [
        DetectedImage(
            cv2.imread(info['img_path']),
            _true_boxes(info, classes),
            _found_boxes(result.pred_instances, classes, min_score),
        )
        for info, result in zip(chosen, results, strict=True)
    ]


def draw_detections(images: Sequence[DetectedImage], path: str | Path, columns: int = 2) -> None:
    """Writes a table of pictures: each image with its true boxes and, right of it, the found ones.

    Args:
        images: At least one image.
        path: File to write; its suffix names the format.
        columns: Pairs of pictures in a row.

    Raises:
        ValueError: There are no images.
    """
    if not images:
        raise ValueError('images must hold at least one image to draw, got none')
    width = max(entry.image.shape[1] for entry in images)
    pairs = [_pair(entry, width) for entry in images]
    rows = [pairs[start : start + columns] for start in range(0, len(pairs), columns)]
    sheet_width = columns * pairs[0].shape[1]
    sheet = np.vstack([_grown(_row(row), None, sheet_width) for row in rows])
    if not cv2.imwrite(str(path), sheet):
        raise OSError(f'could not write the picture {path}')


def draw_boxes(image: np.ndarray, boxes: Boxes) -> np.ndarray:
    """Returns a copy of an (H, W, 3) uint8 image with labelled boxes on it, the surest on top."""
    drawn = image.copy()
    order = range(len(boxes.names)) if boxes.scores is None else np.argsort(boxes.scores)
    for number in order:
        corners, name = boxes.corners[number], boxes.names[number]
        left, top, right, bottom = (round(float(v)) for v in corners)
        color = _color(name)
        text = name if boxes.scores is None else f'{name} {boxes.scores[number]:.2f}'
        cv2.rectangle(drawn, (left, top), (right, bottom), color, 2)
        (text_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        base = max(11, top - 2)
        start = max(0, min(left, image.shape[1] - text_width))
        cv2.rectangle(drawn, (start, base - 11), (start + text_width, base + 3), color, -1)
        cv2.putText(drawn, text, (start, base), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _WHITE, 1)
    return drawn


def _pair(entry: DetectedImage, width: int) -> np.ndarray:
    sides = (('truth', entry.truth), ('found', entry.found))
    return np.hstack(
        [_titled(name, draw_boxes(entry.image, boxes), width) for name, boxes in sides]
    )


def _titled(title: str, picture: np.ndarray, width: int) -> np.ndarray:
    header = np.full((16 + _GAP, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(header, title, (0, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _BLACK, 1)
    return _grown(np.vstack([header, picture]), None, width + _GAP)


def _row(pictures: Sequence[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in pictures) + _GAP
    return np.hstack([_grown(picture, height, None) for picture in pictures])


def _grown(picture: np.ndarray, height: int | None, width: int | None) -> np.ndarray:
    """Adds white on the bottom and on the right, up to the given sizes."""
    below = (height or picture.shape[0]) - picture.shape[0]
    right = (width or picture.shape[1]) - picture.shape[1]
    return cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT, value=_WHITE)


def _true_instances(info: dict[str, Any]) -> list[dict[str, Any]]:
    return [instance for instance in info['instances'] if not instance['ignore_flag']]


def _true_boxes(info: dict, classes: Sequence[str]) -> Boxes:
    instances = _true_instances(info)
    return Boxes(
        np.array([instance['bbox'] for instance in instances]),
        [classes[instance['bbox_label']] for instance in instances],
    )


def _found_boxes(instances: Any, classes: Sequence[str], min_score: float) -> Boxes:
    kept = instances[instances.scores >= min_score].cpu().numpy()
    return Boxes(kept.bboxes, [classes[label] for label in kept.labels], kept.scores)


def _color(name: str) -> tuple[int, int, int]:
    """A colour (BGR) that is dark enough for white text, the same for equal names."""
    code = sum((place + 1) * ord(letter) for place, letter in enumerate(name))
    return (code * 53) % 180, (code * 97) % 180, (code * 151) % 180
