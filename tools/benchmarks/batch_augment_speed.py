"""Speed of the batch transforms: ours, one image at a time, torchvision v2 and kornia.

    python tools/benchmarks/batch_augment_speed.py --out speed.json
    python tools/benchmarks/batch_augment_speed.py --device cuda --out speed.json

Simple random crop, flip, 3-Augment and its colour jitter of uint8 images: of 32 px, and of 256 px
to 224; further rows with a random resized crop, TrivialAugment, RandAugment and erasing. All
sides take turns for some rounds; the median counts. On a CPU the time is that of this process,
which other programs disturb least; on a GPU the clock, until the device is done. What the rows
do for their time:

- Ours, and one image at a time: the same draws, a draw for each image, uint8 in and out.
- torchvision v2 draws once for all that it is given; hence one row image by image, and one with a
  single draw a batch, which trains on less.
- kornia has no choice of one operation for each image: gray, solarize and blur come with a
  probability of 1/3 each. It takes and gives float, and is left out where it is not installed.

Goal on a GPU: 3-Augment with the crop, 100,000 images/s at 32 px and 10,000 at 224 px.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--device', default='cpu', choices=['cpu', 'cuda'], help='default: cpu')
    add('--size', type=int, nargs='+', default=[32, 224], choices=[32, 224], help='in pixels')
    add('--batch', type=int, help='images a batch (default: 512 of 32 px, 64 of 224 px)')
    add('--rounds', type=int, default=3, help='default: 3')
    add('--seconds', type=float, default=1.0, help='of each turn (default: 1)')
    add('--out', type=Path, help='JSON file to write')
    args = parser.parse_args()
    if min(args.rounds, 1 if args.batch is None else args.batch) < 1:
        parser.error('--rounds and --batch must be 1 or more')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import cv2
import numpy as np
import torch
import torchvision
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from mmpretrain.registry import BATCH_AUGMENTS, TRANSFORMS
from torch import Tensor
from torchvision.transforms import v2

import vit_plugins  # noqa: F401  (registration)
from vit_plugins.datasets.seeds import image_seeds

SOURCES = {32: 32, 224: 256}  # size of the result: of the source
BATCHES = {32: 512, 224: 64}
GOALS = {32: 100_000, 224: 10_000}
MAIN = 'batch: SRC + flip + 3-Augment'
Side = Callable[[Tensor], object]
RAND = {
    'type': 'BatchRandAugment',
    'policies': 'timm_increasing',
    'num_policies': 2,
    'magnitude_level': 9,
    'magnitude_std': 0.5,
}
ERASE = {'type': 'BatchRandomErasing', 'erase_prob': 0.25, 'mode': 'rand'}


def batch_side(*transforms: dict) -> Side:
    """Compose our batch transforms; each call is the next epoch."""
    compose = BATCH_AUGMENTS.build({'type': 'BatchCompose', 'transforms': list(transforms)})
    epochs = count()
    return lambda images: compose(images, image_seeds(0, next(epochs), np.arange(len(images))))


def single_side(*transforms: dict) -> Side:
    """Compose transforms of one image, and stack what they give, as a collate does."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        chain = Compose([TRANSFORMS.build(transform) for transform in transforms])

    def run(images: Tensor) -> Tensor:
        arrays = images.permute(0, 2, 3, 1).numpy()  # (B, H, W, C)
        done = [chain({'img': image})['img'].transpose(2, 0, 1) for image in arrays]
        return torch.from_numpy(np.stack(done))

    return run


def torchvision_chain(size: int) -> v2.Compose:
    """Return the official chain in torchvision's transforms of tensors."""
    return v2.Compose(
        [
            v2.Resize(size, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomCrop(size, 4, padding_mode='reflect'),
            v2.RandomHorizontalFlip(),
            v2.RandomChoice(
                [v2.Grayscale(3), v2.RandomSolarize(128, 1.0), v2.GaussianBlur(13, (0.1, 2.0))]
            ),
            v2.ColorJitter(0.3, 0.3, 0.3),
        ]
    )


def kornia_side(size: int) -> Side:
    """Return about the same in kornia, which computes in float."""
    import kornia.augmentation as K

    chain = torch.nn.Sequential(
        K.Resize(size, resample='bicubic', antialias=True),
        K.RandomCrop((size, size), padding=4, padding_mode='reflect'),
        K.RandomHorizontalFlip(),
        K.RandomGrayscale(p=1 / 3),
        K.RandomSolarize(0.0, 0.0, p=1 / 3),
        K.RandomGaussianBlur((13, 13), (0.1, 2.0), p=1 / 3),
        K.ColorJitter(0.3, 0.3, 0.3, p=1.0),
    )
    return lambda images: chain(images.float() / 255)


def sides(size: int, device: str) -> dict[str, Side]:
    """Return all that is compared.

    Args:
        size: Side of the results in pixels.
        device: 'cpu' or 'cuda'; transforms of NumPy images are left out on the latter.
    """
    crop = {'crop_size': size, 'flip_prob': 0.5}
    src = {'type': 'BatchSimpleRandomCrop', **crop}
    rrc = {'type': 'BatchRandomResizedCrop', 'scale': size, 'flip_prob': 0.5}
    rrc['interpolation'] = 'bicubic'
    three = {'type': 'BatchThreeAugment'}
    chain = torchvision_chain(size)
    found: dict[str, Side] = {
        MAIN: batch_side(src, three),
        'batch: RRC + flip + 3-Augment': batch_side(rrc, three),
        'batch: SRC + flip + TrivialAugment': batch_side(src, {'type': 'BatchTrivialAugment'}),
        'batch: SRC + flip + RandAugment + erasing': batch_side(src, RAND, ERASE),
        'batch: SRC + flip': batch_side(src),
        'torchvision v2, image by image': lambda images: torch.stack([chain(i) for i in images]),
        'torchvision v2, one draw a batch': chain,
    }
    if device == 'cpu':
        found['one image at a time: SRC + flip + 3-Augment'] = single_side(
            {'type': 'SimpleRandomCrop', 'crop_size': size},
            {'type': 'ThreeAugment', 'flip_prob': 0.5},
        )
    if find_spec('kornia'):
        found['kornia (see above)'] = kornia_side(size)
    return found


def seconds_an_image(side: Side, images: Tensor, seconds: float) -> float:
    """Return the time of an image, from as many batches as fit in some seconds, one at least."""
    on_gpu = images.device.type == 'cuda'
    clock = time.perf_counter if on_gpu else time.process_time
    batches, start = 0, clock()
    while not batches or clock() - start < seconds:
        side(images)
        batches += 1
        if on_gpu:
            torch.cuda.synchronize()
    return (clock() - start) / batches / len(images)


def compare(size: int, images: Tensor, rounds: int, seconds: float) -> dict[str, float]:
    """Return the images per second of each side.

    Args:
        size: Side of the results in pixels.
        images: uint8 of shape (B, 3, H, W).
        rounds: Number of rounds, in each of which all sides take their turn.
        seconds: Time of a turn.
    """
    every = sides(size, images.device.type)
    spent: dict[str, list[float]] = {name: [] for name in every}
    for side in every.values():
        side(images)  # warm up
    for _ in range(rounds):
        for name, side in every.items():
            spent[name].append(seconds_an_image(side, images, seconds))
    return {name: 1 / median(times) for name, times in spent.items()}


def report(size: int, speeds: dict[str, float], device: str) -> None:
    """Print the lines of one size.

    Args:
        size: Side of the results in pixels.
        speeds: What :func:`compare` returned.
        device: 'cpu' or 'cuda'.
    """
    for name, speed in speeds.items():
        goal = ''
        if name == MAIN and device == 'cuda':
            goal = f'goal {GOALS[size]:,}: {"reached" if speed >= GOALS[size] else "MISSED"}'
        print(f'{size:>4} {name:<46} {speed:>11,.0f} {goal}'.rstrip(), flush=True)


def main() -> None:
    """Print the table and write the file."""
    args = parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('--device cuda: torch finds no GPU; use --device cpu')
    if args.device == 'cpu':
        torch.set_num_threads(1)
        cv2.setNumThreads(0)
    name = torch.cuda.get_device_name() if args.device == 'cuda' else '1 CPU thread'
    versions = {'torch': torch.__version__, 'torchvision': torchvision.__version__}
    if find_spec('kornia'):
        import kornia

        versions['kornia'] = kornia.__version__
    else:
        print('kornia is not installed: left out')
    print(', '.join([*(f'{key} {value}' for key, value in versions.items()), name]))
    print('  px side                                              images/s')
    result = {'device': name, 'versions': versions, 'images_per_second': {}}
    for size in args.size:
        shape = (args.batch or BATCHES[size], 3, SOURCES[size], SOURCES[size])
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        speeds = compare(size, images.to(args.device), args.rounds, args.seconds)
        report(size, speeds, args.device)
        result['images_per_second'][size] = speeds
        if args.out:  # at once: the next size may run out of time
            args.out.write_text(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
