"""Time of DeiT III's augmentation: ours against the official chain of torchvision and Pillow.

    python tools/benchmarks/three_augment_speed.py

Simple random crop, flip, 3-Augment and colour jitter at 224 px, from a 500 x 375 JPEG in memory
and from a 256 x 256 array. One process, one thread, process CPU time (which other programs
disturb least), median of nine rounds of 60 images in which all sides take turns. Everyone ends
where they do in training: the official chain in normalised float, the transforms of MMPretrain in
uint8, since its data preprocessor normalises whole batches on the device; two more rows bring
both to the same end. Takes about half a minute. Fails below a ratio of 2.5 (JPEG) or 5 (array).
"""

import argparse
import io
import random
import time
from collections.abc import Callable
from statistics import median


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--rounds', type=int, default=9, help='rounds (default: 9)')
    parser.add_argument('--images', type=int, default=60, help='images per round (default: 60)')
    args = parser.parse_args()
    if min(args.rounds, args.images) < 1:
        parser.error('--rounds and --images must be 1 or more')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import cv2
import mmcv
import numpy as np
import PIL
import torch
import torchvision
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision import transforms as T

import vit_plugins  # noqa: F401  (registration)

SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = T.InterpolationMode.BICUBIC
GOALS = {'JPEG': (3.2, 2.5), 'array': (7.9, 5.0)}  # aimed at, and at least
Side = Callable[[bytes | np.ndarray], Tensor]


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Sample an RGB image whose spectrum falls as that of photographs, 1 / f^1.15."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    frequency[0, 0] = 1
    noise = np.fft.fft2(rng.normal(size=(3, height, width))) / frequency**1.15
    levels = np.fft.ifft2(noise).real.transpose(1, 2, 0)  # (H, W, 3)
    levels = 128 + 50 * (levels - levels.mean((0, 1))) / levels.std((0, 1))
    return np.ascontiguousarray(levels.clip(0, 255).astype(np.uint8))


def jpeg(img: np.ndarray) -> bytes:
    """Encode with the chroma halved, as most photographs are."""
    file = io.BytesIO()
    Image.fromarray(img).save(file, 'JPEG', quality=91, subsampling='4:2:0')
    return file.getvalue()


def blur(img: Image.Image) -> Image.Image:
    """Blur as the official code does."""
    return img.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def official(crop: str, to_float: bool) -> Side:
    """Compose the official chain from torchvision and Pillow.

    Args:
        crop: 'SRC' or 'RRC'.
        to_float: End in normalised float, as the official code does, or else in uint8.
    """
    crops = {
        'SRC': [T.Resize(SIZE, BICUBIC), T.RandomCrop(SIZE, 4, padding_mode='reflect')],
        'RRC': [T.RandomResizedCrop(SIZE, interpolation=BICUBIC)],
    }
    ends = [T.ToTensor(), T.Normalize(MEAN, STD)] if to_float else [T.PILToTensor()]
    members = [T.Grayscale(3), T.RandomSolarize(128, p=1.0), T.Lambda(blur)]
    chain = T.Compose(
        [
            *crops[crop],
            T.RandomHorizontalFlip(),
            T.RandomChoice(members),
            T.ColorJitter(0.3, 0.3, 0.3),
            *ends,
        ]
    )

    def run(source: bytes | np.ndarray) -> Tensor:
        if isinstance(source, bytes):
            return chain(Image.open(io.BytesIO(source)).convert('RGB'))
        return chain(Image.fromarray(source))

    return run


STOCK = [
    dict(type='ResizeEdge', scale=SIZE, backend='pillow', interpolation='bicubic'),
    dict(type='RandomCrop', crop_size=SIZE, padding=4),  # pads zeros whatever its padding_mode
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='RandomGrayscale', prob=1.0, keep_channels=True)],
            [dict(type='Solarize', thr=128, prob=1.0)],
            [
                dict(
                    type='GaussianBlur',
                    magnitude_range=(0.1, 2.0),
                    magnitude_std='inf',
                    prob=1.0,
                )
            ],
        ],
    ),
    # its other backend says at each image that Pillow's mode argument is gone
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, backend='cv2'),
    dict(type='PackInputs'),
]


def ours(backend: str = 'torch') -> list[dict]:
    """List our transforms, as the recipes do."""
    return [
        dict(type='SimpleRandomCrop', crop_size=SIZE, backend=backend),
        dict(type='ThreeAugment', flip_prob=0.5),
        dict(type='PackInputs'),
    ]


def pipeline(transforms: list[dict], to_float: bool = False) -> Side:
    """Compose transforms of MMPretrain.

    Args:
        transforms: Their configs.
        to_float: Normalise with the data preprocessor behind them, image by image.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        chain = Compose([TRANSFORMS.build(transform) for transform in transforms])
        scale = dict(mean=[255 * m for m in MEAN], std=[255 * s for s in STD], to_rgb=True)
        normalise = MODELS.build(dict(type='ClsDataPreprocessor', **scale))

    def run(source: bytes | np.ndarray) -> Tensor:
        img = mmcv.imfrombytes(source) if isinstance(source, bytes) else source
        packed = chain({'img': img})['inputs']
        return normalise({'inputs': [packed]})['inputs'][0] if to_float else packed

    return run


def sides() -> dict[str, tuple[Side, str]]:
    """Return all that is compared, and the official chain that it is compared with."""
    first = 'official chain -> float'
    eighth = 'official chain -> uint8'
    return {
        first: (official('SRC', True), first),
        eighth: (official('SRC', False), first),
        'official chain, RRC -> float': (official('RRC', True), first),
        'stock transforms -> uint8': (pipeline(STOCK), first),
        'ours -> uint8': (pipeline(ours()), first),
        'ours, both -> uint8': (pipeline(ours()), eighth),
        'ours, both -> float': (pipeline(ours(), to_float=True), first),
        'ours, pillow resize -> uint8': (pipeline(ours('pillow')), first),
        'ours, cv2 resize -> uint8': (pipeline(ours('cv2')), first),
    }


def cpu_seconds(side: Side, source: bytes | np.ndarray, images: int) -> float:
    """Return the process CPU time per image."""
    start = time.process_time()
    for _ in range(images):
        side(source)
    return (time.process_time() - start) / images


def compare(source: bytes | np.ndarray, rounds: int, images: int) -> dict[str, float]:
    """Return the median seconds per image of each side.

    Args:
        source: JPEG file or RGB array; that order of channels costs everyone the same.
        rounds: Number of rounds, in each of which all sides take their turn.
        images: Images per turn.
    """
    every = {name: side for name, (side, _) in sides().items()}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for side in every.values():
        cpu_seconds(side, source, 3)  # warm up
    for _ in range(rounds):
        for name, side in every.items():
            seconds[name].append(cpu_seconds(side, source, images))
    return {name: median(spent) for name, spent in seconds.items()}


def report(source: str, seconds: dict[str, float]) -> float:
    """Print the lines of one source.

    Args:
        source: 'JPEG' or 'array'.
        seconds: What :func:`compare` returned.

    Returns:
        The ratio of ours to the official chain.
    """
    goal, _ = GOALS[source]
    ratios = {name: seconds[to] / seconds[name] for name, (_, to) in sides().items()}
    for name, ratio in ratios.items():
        aim = f'{goal:>5.1f}  {"reached" if ratio >= goal else "MISSED"}'
        end = aim if name == 'ours -> uint8' else '    -'
        ms = 1e3 * seconds[name]
        print(f'{source:<6} {name:<30} {ms:>8.3f} {1e3 / ms:>9.0f} {ratio:>6.2f} {end}')
    return ratios['ours -> uint8']


def main() -> None:
    """Print the table."""
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sources = {'JPEG': jpeg(photo(375, 500)), 'array': photo(256, 256)}
    versions = {'torch': torch, 'torchvision': torchvision, 'Pillow': PIL, 'OpenCV': cv2}
    print(*(f'{name} {module.__version__},' for name, module in versions.items()), end=' ')
    print(f'1 thread, CPU time per image, JPEG of {len(sources["JPEG"]) / 1e3:.0f} kB')
    print('source side                            ms/image  images/s  ratio  goal')
    missed = []
    for name, source in sources.items():
        ratio = report(name, compare(source, args.rounds, args.images))
        least = GOALS[name][1]
        if ratio < least:
            missed.append(f'from the {name} {ratio:.2f} times the official speed, not {least}')
    if missed:
        raise SystemExit('too slow: ' + '; '.join(missed))


if __name__ == '__main__':
    main()
