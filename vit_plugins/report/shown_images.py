"""Images of a dataset for a reader: with a name, and as pixels without a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..datasets.photo_decoding import decode_photo
from ..datasets.photo_file import read_photo_file
from ..fileio.printable_text import printable
from ..visualization.sheets import crossed_tile


@dataclass(frozen=True)
class ShownImage:
    """An image of a dataset.

    Attributes:
        name: Folder and file, or its number if the images are no files.
        key: A key that is the same for the same image in any run.
        load: Function that returns the image, given the side that is needed in pixels.
    """

    name: str
    key: str
    load: Callable[[int], Image.Image]

    def picture(self, side: int) -> Image.Image:
        """Return the image in RGB, perhaps at a smaller size; a crossed tile if it cannot be read.

        Args:
            side: The shorter side keeps at least this many pixels, if it has them.
        """
        try:
            return self.load(side).convert('RGB')
        except (OSError, ValueError):
            return crossed_tile(side)


def shown_image(dataset: Any, index: int) -> ShownImage:
    """Return an image of a dataset.

    Args:
        dataset: A dataset whose ``get_data_info`` has ``img_path`` or ``img`` (RGB or grey).
        index: The index of the image.
    """
    info = dataset.get_data_info(index)
    if 'img' in info:
        pixels = np.ascontiguousarray(np.asarray(info['img']).squeeze())
        key = sha256(pixels.tobytes()).hexdigest()
        return ShownImage(f'image {index}', key, lambda side: Image.fromarray(pixels))
    path = Path(info['img_path'])
    name = printable('/'.join(path.parts[-2:]))
    return ShownImage(name, str(path.absolute()), lambda side: _decoded(path, side))


def _decoded(path: Path, side: int) -> Image.Image:
    pixels, _ = decode_photo(read_photo_file(path), least_side=side)
    return Image.fromarray(pixels[..., ::-1])  # BGR
