"""Sample random images that decode and compress like photographs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def natural_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Sample an RGB image (H, W, 3) whose spectrum falls like a photograph's, 1 / f^1.15.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        seed: The seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    frequency[0, 0] = 1
    noise = np.fft.fft2(rng.normal(size=(3, height, width))) / frequency**1.15
    levels = np.fft.ifft2(noise).real.transpose(1, 2, 0)  # (H, W, 3)
    levels = 128 + 50 * (levels - levels.mean((0, 1))) / levels.std((0, 1))
    return np.ascontiguousarray(levels.clip(0, 255).astype(np.uint8))


def as_jpeg(image: np.ndarray) -> bytes:
    """Return a JPEG file with halved chroma, like most photographs.

    Args:
        image: RGB of uint8, (H, W, 3).
    """
    file = BytesIO()
    Image.fromarray(image).save(file, 'JPEG', quality=91, subsampling='4:2:0')
    return file.getvalue()


def write_photos(folder: Path, number: int, height: int = 375, width: int = 500) -> list[Path]:
    """Write JPEG files; if there are more than eight, the rest are links to the first eight.

    Args:
        folder: The folder; it is made if absent.
        number: Number of files.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        The files in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = [as_jpeg(natural_image(height, width, seed)) for seed in range(min(number, 8))]
    files = [folder / f'{k:06}.jpg' for k in range(number)]
    for k, file in enumerate(files):
        if k < len(content):
            file.write_bytes(content[k])
        else:
            file.hardlink_to(files[k % len(content)])
    return files
