"""A sheet holds every picture at one scale, pictures of one kind in a row."""

import cv2
import numpy as np
import pytest

from mmst.browse.sheet import Column, compose_sheet, write_sheet

RED, BLUE, GREEN = (200, 0, 0), (0, 0, 200), (0, 200, 0)


def plain(height, width, color):
    return np.full((height, width, 3), color, np.uint8)


def box_of(sheet, color):
    """Top, left, height and width of what has a colour, which must be a full rectangle."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert len(rows) == height * width
    return rows.min(), columns.min(), height, width


@pytest.mark.parametrize('zoom', [1, 3])
def test_pictures_keep_their_proportions(zoom):
    main = Column(['main'], {'boxes': plain(40, 60, RED), 'map': plain(40, 60, BLUE)})
    small = Column(['a subnet', '20 x 30'], {'map': plain(20, 30, GREEN)})
    sheet = compose_sheet([main, small], zoom)
    assert sheet.dtype == np.uint8
    red, blue, green = (box_of(sheet, color) for color in (RED, BLUE, GREEN))
    assert red[2:] == blue[2:] == (40 * zoom, 60 * zoom)
    assert green[2:] == (20 * zoom, 30 * zoom)
    assert green[0] == blue[0] > red[0] + red[2]  # one row, below the boxes
    assert red[1] == blue[1] and green[1] > red[1] + red[3]


def test_titles_stand_above_their_column_and_are_not_cut():
    long = 'a title that is much wider than the picture'
    sheet = compose_sheet([Column([long], {'x': plain(9, 9, RED)}), Column(['b'], {})])
    alone = compose_sheet([Column([long])])
    ink, ink_alone = ((part[:24] < 128).any(axis=2) for part in (sheet, alone))
    np.testing.assert_array_equal(ink[:, : alone.shape[1] - 1], ink_alone[:, :-1])
    assert ink[:, alone.shape[1] :].any()
    assert not ink_alone[:, -5:].any()


def test_no_column_is_an_error():
    with pytest.raises(ValueError, match='at least one column to draw, got none'):
        compose_sheet([])


def test_a_written_sheet_is_read_back(tmp_path):
    sheet = plain(32, 48, RED)
    write_sheet(sheet, tmp_path / 'sheet.jpg')
    read = cv2.imread(str(tmp_path / 'sheet.jpg'))
    assert np.abs(read[..., ::-1].astype(int) - sheet).max() < 8


def test_a_sheet_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match='could not write the picture .*gone'):
        write_sheet(plain(8, 8, RED), tmp_path / 'gone' / 'sheet.jpg')
