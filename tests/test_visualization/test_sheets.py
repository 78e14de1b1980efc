"""Sheets of captioned pictures."""

import numpy as np
import pytest
from PIL import Image

from vit_plugins.visualization.sheets import Picture, picture_sheet


def plain(colour, size=(40, 20)):
    return Image.new('RGB', size, colour)


def test_pictures_stand_in_their_cells_in_proportion():
    red, blue = plain((200, 0, 0)), plain((0, 0, 200), (20, 40))
    sheet = np.asarray(picture_sheet([[Picture(red), Picture(blue)], [None, Picture(red)]], 40))
    assert sheet.shape == (2 * 52, 2 * 52, 3)
    is_red, is_blue = (sheet == (200, 0, 0)).all(-1), (sheet == (0, 0, 200)).all(-1)
    assert is_red[:52, :52].sum() == 40 * 20  # wide: full width, half height
    assert is_blue[:52, 52:].sum() == 20 * 40
    assert is_red[52:, 52:].sum() == 40 * 20
    assert (sheet[52:, :52] == 255).all()


def test_captions_take_room_and_frames_surround():
    bare = picture_sheet([[Picture(plain((9, 9, 9)))]], 40)
    told = picture_sheet([[Picture(plain((9, 9, 9)), 'one\ntwo', (255, 0, 0))]], 40)
    assert told.height == bare.height + 2 * 15
    pixels = np.asarray(told)
    assert ((pixels == (255, 0, 0)).all(-1)).sum() > 2 * (40 + 20)
    assert (pixels[48:] < 100).any()  # ink below the picture


def test_a_long_caption_stays_in_its_cell():
    row = [Picture(plain((255, 255, 255)), 'x' * 500), None]
    pixels = np.asarray(picture_sheet([row], 40))
    assert (pixels[:, 52:] == 255).all()
    assert (pixels[:, :52] < 100).any()


def test_no_pictures():
    with pytest.raises(ValueError, match='at least one row'):
        picture_sheet([[None], []])
