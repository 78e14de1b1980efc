"""Find image files to check a deployed model on: test images of the run, or random images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from copy import deepcopy
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from PIL import Image

from ..config_edits.evaluation_part import evaluation_loader
from ..config_edits.walking import leaf_datasets


@contextmanager
def photos_of_test_set(cfg: Config, number: int = 8) -> Iterator[list[Path]]:
    """Find evenly spaced images of a config's test set, as files.

    Args:
        cfg: The config of a training.
        number: How many.

    Yields:
        The files, some of which may be temporary; none if the data cannot be read.
    """
    with TemporaryDirectory() as folder:
        found: list[Path] = []
        # any error of a dataset whose files are gone
        with suppress(Exception), redirect_stdout(StringIO()):
            leaf = deepcopy(leaf_datasets(evaluation_loader(cfg)['dataset'])[0])
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                dataset = DATASETS.build({**leaf, 'pipeline': []})
            places = np.linspace(0, len(dataset) - 1, min(number, len(dataset))).astype(int)
            found = [_as_file(dataset.get_data_info(int(i)), Path(folder)) for i in places]
        yield [path for path in found if path.is_file()]


def _as_file(info: dict, folder: Path) -> Path:
    """Return the file of an image, written losslessly if the dataset holds arrays (RGB).

    It lies in a folder with the number of its class.
    """
    if 'img' not in info:
        return Path(info['img_path'])
    path = folder / str(info.get('gt_label', '')) / f'{info["sample_idx"]}.png'
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(info['img']).squeeze()).save(path)
    return path


@contextmanager
def generated_photos(number: int = 4) -> Iterator[list[Path]]:
    """Write random images of several sizes.

    Args:
        number: How many.

    Yields:
        The files, which are temporary.
    """
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f'generated_{i}.png') for i in range(number)]
        for i, path in enumerate(paths):
            coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            size = (120 + 40 * i, 90 + 70 * (i % 3))
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
        yield paths


@contextmanager
def photos_to_check(
    cfg: Config, named: Sequence[str] | None, number: int = 8
) -> Iterator[tuple[list[str], str]]:
    """Choose images to check a model on: those named, or else test images, or random ones.

    Args:
        cfg: The config of its training.
        named: The images that the user names.
        number: How many test images.

    Yields:
        The files, and a description of them.

    Raises:
        ValueError: If images are named but none exist.
    """
    if named is not None:
        if not named:
            raise ValueError('--images names no image')
        yield list(named), f'{len(named)} images that were named'
        return
    with photos_of_test_set(cfg, number) as photos:
        if photos:
            yield list(map(str, photos)), f'{len(photos)} images of the test set'
            return
    with generated_photos() as photos:
        told = "generated images (the run's test images are not there; --images names others)"
        yield list(map(str, photos)), f'{len(photos)} {told}'
