"""Arrange captioned pictures in rows as one image, with Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from ..fileio.printable_text import printable_lines

MARGIN = 6
FONT_SIZE = 12
INK, PAPER = (20, 20, 20), (255, 255, 255)
GREY = (200, 200, 200)


@dataclass(frozen=True)
class Picture:
    """A cell of a sheet.

    Attributes:
        image: The picture; it is fitted into the cell and keeps its proportions.
        caption: Lines below it, which are cut if they are too long.
        frame: Colour of a frame around it.
    """

    image: Image.Image
    caption: str = ''
    frame: tuple[int, int, int] | None = None


def crossed_tile(side: int) -> Image.Image:
    """Return a grey square with a cross, which stands for a photo that cannot be shown.

    Args:
        side: Its side in pixels.
    """
    tile = Image.new('RGB', (side, side), GREY)
    pen = ImageDraw.Draw(tile)
    for ends in ((0, 0, side, side), (0, side, side, 0)):
        pen.line(ends, INK, max(side // 64, 1))
    return tile


def picture_sheet(rows: Sequence[Sequence[Picture | None]], cell: int = 160) -> Image.Image:
    """Arrange pictures in rows.

    Args:
        rows: The pictures; None leaves a cell empty.
        cell: Side of the square that a picture is fitted into, in pixels.

    Returns:
        An RGB image, as wide as the longest row.

    Raises:
        ValueError: If there is no picture.
    """
    pictures = [p for row in rows for p in row if p is not None]
    if not pictures:
        raise ValueError('a sheet of no pictures: give at least one row with a picture')
    font = ImageFont.load_default(FONT_SIZE)
    line = FONT_SIZE + 3
    lines = {words for p in pictures for words in p.caption.splitlines()}
    shown = dict(zip(lines, printable_lines(lines), strict=True))
    text = line * max(p.caption.count('\n') + 1 if p.caption else 0 for p in pictures)
    step_x, step_y = cell + 2 * MARGIN, cell + text + 2 * MARGIN
    columns = max(len(row) for row in rows)
    sheet = Image.new('RGB', (columns * step_x, len(rows) * step_y), PAPER)
    pen = ImageDraw.Draw(sheet)
    for j, row in enumerate(rows):
        for i, picture in enumerate(row):
            if picture is None:
                continue
            left, top = i * step_x + MARGIN, j * step_y + MARGIN
            fitted = fit_into(picture.image.convert('RGB'), cell)
            x, y = left + (cell - fitted.width) // 2, top + (cell - fitted.height) // 2
            sheet.paste(fitted, (x, y))
            if picture.frame:
                box = (x - 3, y - 3, x + fitted.width + 2, y + fitted.height + 2)
                pen.rectangle(box, outline=picture.frame, width=3)
            for k, words in enumerate(picture.caption.splitlines()):
                words = _cut(shown[words], cell, font)
                pen.text((left, top + cell + 2 + k * line), words, INK, font)
    return sheet


def fit_into(image: Image.Image, side: int) -> Image.Image:
    """Return an image resized in proportion, so that its longer side has a given length.

    Args:
        image: An image of any size.
        side: The longer side in pixels. The shorter side keeps at least one pixel.
    """
    scale = side / max(image.size)
    width, height = (max(round(length * scale), 1) for length in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _cut(words: str, width: int, font: ImageFont.ImageFont) -> str:
    """Drop letters from the middle until the text fits: the end of a path says most."""
    if font.getlength(words) <= width:
        return words
    kept = len(words) - 1
    while kept > 2 and font.getlength(_shortened(words, kept)) > width:
        kept -= 1
    return _shortened(words, kept)


def _shortened(words: str, kept: int) -> str:
    front = kept // 3
    return f'{words[:front]}…{words[len(words) - (kept - front) :]}'
