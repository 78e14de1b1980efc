"""Load photos as people see them."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS

from ...fileio.printable_text import log_line
from ..photo_decoding import UndecodableError, decode_photo
from ..photo_file import read_photo_file
from ..photo_limits import LIMITS, PhotoLimits

COLOR_TYPES = ('color', 'grayscale')
LOCAL = (None, {'backend': 'local'})  # where files lie on a disk of this machine
# arguments of the host's loader that LoadPhoto has, too
LOADER_ARGUMENTS = ('type', 'to_float32', 'color_type', 'ignore_empty', 'backend_args')


@TRANSFORMS.register_module()
class LoadPhoto(LoadImageFromFile):
    """Load an image file of any kind into 8 bits a channel.

    Ordinary files give the pixels of the host's ``LoadImageFromFile``. Transparent parts, which
    it makes black or of any colour, are shown on a background, and 16-bit files are scaled by the
    depth that they use: see :func:`~vit_plugins.datasets.photo_decoding.decode_photo`. Pixels
    that are there already (``img`` without ``img_path``), as from the host's inferencers, stay.

    Required key: ``img_path``. Added keys: ``img``, ``img_shape``, ``ori_shape``.

    Args:
        to_float32: Whether to return float32 instead of uint8.
        color_type: 'color' for (H, W, 3) in BGR order, 'grayscale' for (H, W).
        ignore_empty: Whether to return None for an image that cannot be loaded, and to log its
            path once. The host's datasets then take another image, at random, in training.
        backend_args: Where the files lie, see ``mmengine.fileio``.
        max_pixels: The most pixels that an image may have, see ``PhotoLimits``.
        max_aspect: How many times as long as the shorter side the longer one may be.
        least_side: If given, a JPEG may be decoded at a half, a fourth or an eighth of its size,
            as long as its shorter side keeps this many pixels: faster where photos are several
            times as large as what the model sees. At twice the size that follows, pixels then
            differ by less than a grey level on average from those of the whole; ``ori_shape``
            is that of the decoded one. Default: the whole image.

    Raises:
        ValueError: If ``color_type`` is none of the two, or a number is below 1; when called, if
            an image cannot be decoded or is too large, with its path.
        OSError: When called, if a file cannot be read; a ``PhotoFileError`` with its path if it
            should lie on a disk.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        ignore_empty: bool = False,
        *,
        backend_args: dict | None = None,
        max_pixels: float = LIMITS.max_pixels,
        max_aspect: float = LIMITS.max_aspect,
        least_side: int | None = None,
    ) -> None:
        self.limits = PhotoLimits(max_pixels, max_aspect)
        if color_type not in COLOR_TYPES:
            raise ValueError(f'color_type must be one of {COLOR_TYPES}, got {color_type!r}')
        if least_side is not None and (not isinstance(least_side, int) or least_side < 1):
            raise ValueError(f'least_side must be None or at least 1, got {least_side!r}')
        self.least_side = least_side
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            ignore_empty=ignore_empty,
            backend_args=backend_args,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Load the image.

        Args:
            results: With ``img_path``.
        """
        if not results.get('img_path') and 'img' in results:
            return results
        try:
            pixels = self._pixels(results['img_path'])
        except (OSError, UndecodableError) as error:
            if not self.ignore_empty:
                raise
            _log_once(f'{error} (ignore_empty leaves it out)')
            return None
        results['img'] = pixels.astype(np.float32) if self.to_float32 else pixels
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

    def _pixels(self, path: str | os.PathLike) -> np.ndarray:
        grey = self.color_type == 'grayscale'
        options = {'grey': grey, 'least_side': self.least_side, 'limits': self.limits}
        try:
            pixels, _ = decode_photo(self._content(path), **options)
        except UndecodableError as error:
            raise UndecodableError(f'{path} cannot be loaded: {error}') from error
        return pixels

    def _content(self, path: str | os.PathLike) -> bytes:
        if self.backend_args in LOCAL and '://' not in os.fspath(path):
            return read_photo_file(path)
        return fileio.get(path, backend_args=self.backend_args)

    def __repr__(self) -> str:
        return (
            f'LoadPhoto(to_float32={self.to_float32}, color_type={self.color_type!r}, '
            f'ignore_empty={self.ignore_empty}, backend_args={self.backend_args}, '
            f'max_pixels={self.limits.max_pixels:g}, max_aspect={self.limits.max_aspect:g}, '
            f'least_side={self.least_side})'
        )


@functools.cache
def _log_once(line: str) -> None:
    log_line(line)


def use_load_photo(pipeline: Sequence) -> list:
    """Return a pipeline that loads by ``LoadPhoto`` where it loads by the host's default loader.

    A loader with settings that ``LoadPhoto`` does not have, as another ``imdecode_backend``, is
    somebody's choice and stays.

    Args:
        pipeline: The transforms.
    """
    return [_load_photo(step) if _is_default_loader(step) else step for step in pipeline]


def _load_photo(step: dict) -> dict:
    kept = {key: step[key] for key in LOADER_ARGUMENTS if key in step}
    return type(step)({**kept, 'type': 'LoadPhoto'})


def _is_default_loader(step: Any) -> bool:
    return (
        isinstance(step, dict)
        and _type_name(step) == 'LoadImageFromFile'
        and set(step) <= {*LOADER_ARGUMENTS, 'imdecode_backend'}
        and step.get('imdecode_backend', 'cv2') == 'cv2'
        and step.get('color_type', 'color') in ('color', 'grayscale')
    )


def _type_name(step: dict) -> str:
    kind = step.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
