"""Show a config's augmentation: pictures before and after, with the sampled parameters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TRANSFORMS
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..config_edits.photos import accept_photos
from ..config_edits.walking import (
    components,
    image_size,
    leaf_datasets,
    preprocessor_of,
    type_name,
    walk,
)
from ..datasets.image_check import image_problem
from ..datasets.photo_file import name_unreadable
from .crops import Crop, crop_of, describe_crop
from .sampled_parameters import describe_sampled, describe_value, record_sampled
from .sheets import FONT_SIZE, Picture

SAMPLES = ('china', 'flower')
CREDIT = 'sample photos: china by danielbuechele, flower by vultilion (flickr.com), CC BY 2.0'
COLOURS = (
    *((214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14)),
    *((148, 103, 189), (23, 190, 207), (227, 119, 194), (188, 189, 34)),
)


class AugmentationSheet:
    """The training pipeline of a config, with methods that show its effect.

    Random numbers come from the global random streams, which the caller may seed.

    Args:
        cfg: A classification config.
        photos: Image files to show, see :func:`find_photo`, instead of the config's dataset, which
            then need not exist; a pipeline for arrays is changed to read files.
        num_images: How many images of the dataset are shown.
        seed: Chooses these images.
        cell: Side of a picture in pixels; captions are broken to this width.

    Raises:
        ValueError: If a file cannot be read, or the config has no training pipeline.
    """

    def __init__(
        self,
        cfg: Config,
        photos: Sequence[str] = (),
        *,
        num_images: int = 4,
        seed: int = 0,
        cell: int = 128,
    ) -> None:
        self.config = accept_photos(cfg.copy()) if photos else cfg
        loader = cfg.get('train_dataloader') or {}
        leaves = leaf_datasets(loader.get('dataset') or {})
        dataset = next((leaf for leaf in leaves if leaf.get('pipeline')), None)
        if dataset is None:
            raise ValueError('the config has no train_dataloader with a pipeline: nothing to show')
        self.settings: list[dict] = list(dataset['pipeline'])
        self.cell = cell
        # pictures are BGR until the model's preprocessor swaps the channels, if it does
        self.bgr = bool(preprocessor_of(self.config).get('to_rgb'))
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.pipeline = [TRANSFORMS.build(node) for node in self.settings]
            if photos:
                self.sources = [{'img_path': str(find_photo(name))} for name in photos]
            else:
                images = DATASETS.build(dataset)
                chosen = np.random.default_rng(seed).permutation(len(images))[:num_images]
                self.sources = [images.get_data_info(int(i)) for i in chosen]

    def rows(self, draws: int = 4) -> list[list[Picture]]:
        """Return images before and after: each member of 3-Augment alone, then the whole pipeline.

        Args:
            draws: How often the whole pipeline runs on each image.

        Returns:
            A row for each image, for :func:`~vit_plugins.visualization.sheets.picture_sheet`.
            Members are applied to the middle of the image at the size of training, as a blur
            counts in pixels of that size; without 3-Augment there are none, and the whole image is
            shown.
        """
        members = self._members()
        rows = []
        for source in self.sources:
            image = self._load(source)
            words = f'{image.shape[1]}x{image.shape[0]}'
            if members:
                image, words = self._centre(image), f'{words}, its middle'
            row = [self._picture(image, 'original', [words])]
            for title, transform in members:
                with record_sampled(transform) as found:
                    changed = transform({'img': image})['img']
                row.append(self._picture(changed, title, _member_settings(found[0].value)))
            for k in range(draws):
                with record_sampled(self.pipeline) as found:
                    result = self._run(source)
                row.append(self._picture(result, f'draw {k + 1}', describe_sampled(found)))
            rows.append(row)
        return rows

    def crop_rows(self, draws: int = 6) -> list[list[Picture]]:
        """Return pictures of where RandomResizedCrop and SimpleRandomCrop cut, and of the results.

        Settings are those of the config; a crop that the config does not use has its defaults.

        Args:
            draws: The number of crops of each type.

        Returns:
            Two rows for each image: the image with the boxes, then the crops in their colours.
        """
        rows = []
        for source in self.sources:
            image = self._load(source)
            for transform in self._crops():
                crops, pictures = [], []
                for k in range(draws):
                    with record_sampled(transform) as found:
                        output = transform({'img': image})['img']
                    crop = crop_of(transform, found[0].value, *image.shape[:2])
                    words = describe_crop(crop, *image.shape[:2])
                    colour = COLOURS[k % len(COLOURS)]
                    crops.append(crop)
                    pictures.append(Picture(self._image(output), words, colour))
                boxed = plot_boxes(to_picture(image, self.bgr), crops, self.cell)
                rows.append([Picture(boxed, _crop_title(transform)), *pictures])
        return rows

    def _members(self) -> list[tuple[str, BaseTransform]]:
        """Build each member of 3-Augment on its own; none if the pipeline has no 3-Augment."""
        found = components(self.settings, 'ThreeAugment')
        if not found:
            return []
        node, whole = found[0], _build(found[0])
        settings = {**node, 'weights': None, 'flip_prob': 0.0}
        configs = node.get('members', whole.members)
        members = [
            (name, _build({**settings, 'members': [config], 'color_jitter': None}))
            for name, config in zip(whole.members, configs, strict=True)
            if name != 'identity'
        ]
        if whole.color_jitter:
            members.append(('colour jitter', _build({**settings, 'members': []})))
        return members

    def _crops(self) -> list[BaseTransform]:
        used = {type_name(node): node for node in walk(self.settings)}
        height, width = self._size()
        defaults = {
            'RandomResizedCrop': {'scale': (height, width), 'backend': 'pillow'},
            'SimpleRandomCrop': {'crop_size': min(height, width)},
        }
        return [_build(used.get(k) or {'type': k, **v}) for k, v in defaults.items()]

    def _size(self) -> tuple[int, int]:
        size = image_size(self.config)
        return (size, size) if isinstance(size, int) else size

    def _load(self, source: dict) -> np.ndarray:
        """Return the image as it is in the pipeline before any random step."""
        results = dict(source)
        for transform in self.pipeline:
            if 'img' in results:
                break
            results = transform(results)
        return results['img']

    def _run(self, source: dict) -> Any:
        results = dict(source)
        for transform in self.pipeline:
            results = transform(results)
            if results is None:
                raise ValueError(f'{type(transform).__name__} refused the image {source}')
        return results['inputs'] if 'inputs' in results else results['img']

    def _centre(self, image: np.ndarray) -> np.ndarray:
        height, width = self._size()
        fitted = ImageOps.fit(Image.fromarray(image.squeeze()), (width, height))  # bicubic
        return np.asarray(fitted).reshape(height, width, *image.shape[2:])

    def _picture(self, image: Any, title: str, words: Sequence[str]) -> Picture:
        lines = [line for text in words for line in text.splitlines()]
        broken = [part for line in lines for part in break_line(line, self.cell)]
        return Picture(self._image(image), '\n'.join([title, *broken]))

    def _image(self, image: Any) -> Image.Image:
        """Make a picture; if a small one is enlarged, its pixels stay squares."""
        picture = to_picture(image, self.bgr)
        factor = self.cell // max(picture.size)
        return ImageOps.scale(picture, factor, Image.NEAREST) if factor > 1 else picture


def find_photo(name: str) -> Path:
    """Find a photo to show.

    Args:
        name: A file; or ``'sample:china'`` or ``'sample:flower'``, the two photos that come with
            scikit-learn; the caller must name their authors (``CREDIT``).

    Raises:
        ValueError: If the file cannot be read.
        ImportError: If a sample is asked for without scikit-learn.
    """
    if name.startswith('sample:'):
        if name[7:] not in SAMPLES:
            samples = ' or '.join(f'sample:{sample}' for sample in SAMPLES)
            raise ValueError(f'no sample photo is called {name!r}: give {samples}')
        try:
            return Path(str(resources.files('sklearn.datasets.images') / f'{name[7:]}.jpg'))
        except ModuleNotFoundError as error:
            raise ImportError(
                'the sample photos come with scikit-learn: pip install scikit-learn'
            ) from error
    problem = image_problem(name)
    if problem:
        raise ValueError(name_unreadable(name, problem))
    return Path(name)


def to_picture(image: Any, bgr: bool) -> Image.Image:
    """Convert an image of a pipeline, before or after its transforms, to a picture.

    Args:
        image: Array (H, W), (H, W, 1) or (H, W, 3), or tensor (1 or 3, H, W). If it is not of
            uint8, for example after a normalisation, its range is stretched to that of a picture.
        bgr: Whether three channels are in the order blue, green, red.

    Raises:
        ValueError: If it has another type or shape.
    """
    if isinstance(image, torch.Tensor) and image.ndim == 3:
        image = image.permute(1, 2, 0).numpy()  # (C, H, W) -> (H, W, C)
    if not isinstance(image, np.ndarray) or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(
            f'the pipeline gives {getattr(image, "shape", type(image).__name__)}, not one image '
            'of one or three channels; pipelines of several views cannot be shown'
        )
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = ((image - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    if image.shape[2:] == (3,):
        return Image.fromarray(np.ascontiguousarray(image[..., ::-1] if bgr else image))
    return Image.fromarray(image.reshape(image.shape[:2])).convert('RGB')


def plot_boxes(picture: Image.Image, crops: Sequence[Crop], side: int) -> Image.Image:
    """Plot the boxes of crops, one colour each.

    Args:
        picture: The image that was cropped.
        crops: The crops.
        side: Pixels of the longer side of the result, so that lines stay thin and sharp.
    """
    factor = side / max(picture.size)
    size = [max(round(length * factor), 1) for length in picture.size]
    result = picture.resize(size, Image.BICUBIC)
    pen = ImageDraw.Draw(result)
    for k, crop in enumerate(crops):
        x1, y1, x2, y2 = (round(edge * factor) for edge in crop.box)
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=COLOURS[k % len(COLOURS)], width=2)
    return result


def break_line(line: str, width: int) -> list[str]:
    """Break a line of a caption between words.

    Args:
        line: The words.
        width: Pixels that a part may take; a longer word is a part of its own.
    """
    font = ImageFont.load_default(FONT_SIZE)
    parts: list[str] = []
    for word in line.split():
        if parts and font.getlength(f'{parts[-1]} {word}') <= width:
            parts[-1] += f' {word}'
        else:
            parts.append(word)
    return parts


def _build(node: dict) -> BaseTransform:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return TRANSFORMS.build(node)


def _crop_title(transform: BaseTransform) -> str:
    name = type(transform).__name__
    if name == 'SimpleRandomCrop':
        return f'{name}\naxes: {transform.axes}'
    low, high = transform.crop_ratio_range
    return f'{name}\n{low:.0%} to {high:.0%}'


def _member_settings(params: Any) -> list[str]:
    """Write the parameters sampled for one member of 3-Augment, whose name is above."""
    settings = {'threshold': params.threshold, 'radius': params.radius, **dict(params.jitter)}
    return [f'{k} {describe_value(v)}' for k, v in settings.items() if v is not None]
