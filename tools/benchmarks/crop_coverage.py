"""How much of an image, and of an object in it, random crops keep.

    python tools/benchmarks/crop_coverage.py

A random test set: shapes of photos and a box for one object in each, from a seed. Each crop's own
random function says what it would cut. Objects lie anywhere, then near the middle, where a
photographer puts them. Takes seconds; no pixel is touched. Columns:

    image, 10 %   share of the image kept: mean, and what all but a tenth of the crops exceed
    box           share of the object's box kept: mean
    <10 %, <half  share of the crops that keep less than that of the box
    small         share of the crops that keep less than 10 % of the box, of small objects only
    stretch, max  width to height of what was square, or its inverse: mean, largest
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--size', type=int, default=224, help='side of the crop')
    parser.add_argument('--num-images', type=int, default=2000)
    parser.add_argument('--num-draws', type=int, default=10, help='crops of each image')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.size, args.num_images, args.num_draws) < 1:
        parser.error('--size, --num-images and --num-draws must be 1 or more')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.runner import set_random_seed
from mmpretrain.datasets import RandomResizedCrop

from vit_plugins.datasets.transforms import SimpleRandomCrop
from vit_plugins.visualization.crops import kept_share, sample_crop

ASPECTS = (1, 4 / 3, 3 / 2, 16 / 9)  # of photos; on end as often as lying
SHORT_SIDES = (240, 640)
OBJECT_SHARES = (0.02, 0.6)  # of the image's area, log-uniform
OBJECT_ASPECTS = (0.5, 2.0)  # log-uniform
SMALL = 0.1  # share of the image below which an object counts as small
PLACES = {'anywhere': 1.0, 'near the middle': 4.0}  # parameter of a symmetric beta distribution
COLUMNS = ('image', '10 %', 'box', '<10 %', '<half', 'small', 'stretch', 'max')


@dataclass(frozen=True)
class SampledSet:
    """Images of which only the geometry is there.

    Attributes:
        shapes: (height, width) of each, shape (N, 2).
        boxes: Its object (x1, y1, x2, y2), shape (N, 4).
    """

    shapes: np.ndarray
    boxes: np.ndarray

    def object_shares(self) -> np.ndarray:
        """Compute the share of each image that its object covers, shape (N,)."""
        images = np.concatenate([np.zeros_like(self.shapes), self.shapes[:, ::-1]], 1)
        return kept_share(self.boxes, images)


@dataclass(frozen=True)
class Coverage:
    """What crops kept, one entry per crop.

    Attributes:
        image: Share of the image.
        box: Share of the object's box.
        stretch: Change of proportions, at least 1.
        small: Whether the object is a small one.
    """

    image: np.ndarray
    box: np.ndarray
    stretch: np.ndarray
    small: np.ndarray


def sample_set(number: int, concentration: float, seed: int) -> SampledSet:
    """Sample shapes of images, and an object in each.

    Args:
        number: How many.
        concentration: 1 puts objects anywhere, more puts them nearer to the middle.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    short = rng.uniform(*SHORT_SIDES, number)
    sides = np.stack([short, short * rng.choice(ASPECTS, number)], 1).round().astype(int)
    shapes = np.where(rng.random((number, 1)) < 0.5, sides, sides[:, ::-1])
    area = np.exp(rng.uniform(*np.log(OBJECT_SHARES), number)) * shapes.prod(1)
    aspect = np.exp(rng.uniform(*np.log(OBJECT_ASPECTS), number))
    size = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], 1)  # (width, height)
    size = np.minimum(size, shapes[:, ::-1])
    corner = rng.beta(concentration, concentration, (number, 2)) * (shapes[:, ::-1] - size)
    return SampledSet(shapes, np.concatenate([corner, corner + size], 1))


def measure(transform: BaseTransform, sampled: SampledSet, draws: int, seed: int) -> Coverage:
    """Crop each image of the set a number of times.

    Args:
        transform: RandomResizedCrop or SimpleRandomCrop.
        sampled: The set.
        draws: Crops of each image.
        seed: Of the crops.
    """
    set_random_seed(seed)
    shapes = sampled.shapes.repeat(draws, 0)
    crops = [sample_crop(transform, int(height), int(width)) for height, width in shapes]
    boxes = np.array([crop.box for crop in crops])
    images = np.concatenate([np.zeros_like(shapes), shapes[:, ::-1]], 1)
    stretch = np.array([crop.stretch for crop in crops])
    return Coverage(
        kept_share(boxes, images),
        kept_share(boxes, sampled.boxes.repeat(draws, 0)),
        np.maximum(stretch, 1 / stretch),
        sampled.object_shares().repeat(draws) < SMALL,
    )


def table_row(name: str, found: Coverage) -> str:
    """Write one line of the table.

    Args:
        name: Of the crop.
        found: What it kept.
    """
    small = found.box[found.small]
    figures = (
        *(found.image.mean(), np.quantile(found.image, 0.1)),
        *(found.box.mean(), (found.box < 0.1).mean(), (found.box < 0.5).mean()),
        (small < 0.1).mean() if len(small) else np.nan,
        *(found.stretch.mean(), found.stretch.max()),
    )
    return f'{name:<27}' + ''.join(f'{figure:>9.3f}' for figure in figures)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    args = parse_args(argv)
    crops = {
        'RandomResizedCrop 0.08 to 1': RandomResizedCrop(args.size),
        'SimpleRandomCrop': SimpleRandomCrop(args.size),
        "SimpleRandomCrop axes='x'": SimpleRandomCrop(args.size, axes='x'),
    }
    print(f'{args.num_images} images, {args.num_draws} crops each, seed {args.seed}')
    for place, concentration in PLACES.items():
        sampled = sample_set(args.num_images, concentration, args.seed)
        small = (sampled.object_shares() < SMALL).mean()
        print(f'\nobjects {place}; {small:.0%} are small, below {SMALL:.0%} of the image')
        print(f'{"":<27}' + ''.join(f'{column:>9}' for column in COLUMNS))
        for name, transform in crops.items():
            print(table_row(name, measure(transform, sampled, args.num_draws, args.seed)))


if __name__ == '__main__':
    main()
