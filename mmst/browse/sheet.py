"""A sheet of pictures in columns, one for each network or image, all at the same scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

try:
    import cv2
    import numpy as np
except ImportError as error:
    raise ImportError(
        'sheets are drawn with NumPy and OpenCV; install them with: '
        'pip install numpy opencv-python-headless'
    ) from error

__all__ = ['Column', 'compose_sheet', 'write_sheet']

_LINE, _GAP = 18, 10  # pixels: height of a line of text, distance between pictures
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45


@dataclass(frozen=True)
class Column:
    """Pictures under one title.

    Args:
        title: Lines of text, ASCII.
        pictures: Pictures of shape (h, w, 3), uint8 RGB, by what they show.
    """

    title: Sequence[str]
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)


def compose_sheet(columns: Sequence[Column], zoom: int = 1) -> np.ndarray:
    """Puts columns side by side: title above, then what each picture shows and the picture.

    Pictures of the same name stand in one row.

    Args:
        columns: At least one column.
        zoom: Pixels a side that each pixel of a picture takes.

    Returns:
        The sheet, of shape (H, W, 3), uint8 RGB.

    Raises:
        ValueError: There are no columns.
    """
    if not columns:
        raise ValueError('columns must hold at least one column to draw, got none')
    names = list(dict.fromkeys(name for column in columns for name in column.pictures))
    tops, bottom = {}, _GAP + _LINE * max(len(column.title) for column in columns)
    for name in names:
        tops[name] = bottom + _LINE
        heights = [len(column.pictures.get(name, ())) for column in columns]
        bottom = tops[name] + zoom * max(heights) + _GAP
    widths = [_width(column, zoom) for column in columns]
    sheet = np.full((bottom, sum(widths) + _GAP * (len(widths) + 1), 3), 255, np.uint8)
    left = _GAP
    for column, width in zip(columns, widths, strict=True):
        for number, line in enumerate(column.title):
            _write(sheet, line, left, _LINE * (number + 1))
        for name, picture in column.pictures.items():
            _write(sheet, name, left, tops[name] - 5)
            enlarged = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
            height, picture_width = enlarged.shape[:2]
            sheet[tops[name] : tops[name] + height, left : left + picture_width] = enlarged
        left += width + _GAP
    return sheet


def write_sheet(sheet: np.ndarray, path: str | Path) -> None:
    """Writes a picture of shape (H, W, 3), uint8 RGB; the suffix of the path names the format.

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise OSError(f'could not write the picture {path}')


def _width(column: Column, zoom: int) -> int:
    """Width in pixels of the widest part of a column."""
    texts = [cv2.getTextSize(line, _FONT, _FONT_SCALE, 1)[0][0] for line in column.title]
    return max(*texts, 0, *(zoom * picture.shape[1] for picture in column.pictures.values()), 0)


def _write(sheet: np.ndarray, text: str, left: int, base: int) -> None:
    cv2.putText(sheet, text, (left, base), _FONT, _FONT_SCALE, (0, 0, 0), 1, cv2.LINE_AA)
