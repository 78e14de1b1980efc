"""Name what is on photos with an exported ONNX file: numpy, Pillow and onnxruntime are enough.

python run_onnx.py MODEL.onnx PHOTO...

All that it needs to know about photos stands in the metadata of the file.
"""

import json
import sys

import numpy as np
from PIL import Image, ImageOps

PILLOW = {
    'nearest': Image.Resampling.NEAREST,
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'box': Image.Resampling.BOX,
    'lanczos': Image.Resampling.LANCZOS,
    'hamming': Image.Resampling.HAMMING,
}
ONE = 2048  # OpenCV's weights are whole numbers of 1 / 2048


def read_photo(path, order='rgb'):
    """Return the pixels of a photo, upright, without transparency: (H, W, C) uint8.

    Args:
        path: The file.
        order: Of the channels: 'rgb', 'bgr' or 'grey'.
    """
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        image = Image.new('RGBA', image.size, 'white')
        image.alpha_composite(rgba)
    if order == 'grey':
        return np.asarray(image.convert('L'))[..., None]
    pixels = np.asarray(image.convert('RGB'))
    return pixels[..., ::-1] if order == 'bgr' else pixels


def resize(pixels, width, height, backend, interpolation):
    """Return pixels (H, W, C) at another size, as Pillow or as OpenCV resizes.

    Args:
        pixels: uint8.
        width: To have.
        height: To have.
        backend: 'pillow' or 'cv2'.
        interpolation: Its name there.
    """
    if backend == 'pillow':
        planes = [Image.fromarray(np.ascontiguousarray(p)) for p in np.moveaxis(pixels, 2, 0)]
        sized = [
            np.asarray(plane.resize((width, height), PILLOW[interpolation])) for plane in planes
        ]
        return np.stack(sized, axis=2)
    if pixels.shape[:2] == (height, width):
        return pixels
    if interpolation == 'bilinear':
        return _resize_linear(pixels, width, height)
    return _resize_cubic(pixels, width, height)


def _sample_points(size, target):
    """Return for each new pixel the old one before it and how far it lies behind that."""
    place = ((np.arange(target) + 0.5) * (size / target) - 0.5).astype(np.float32)
    first = np.floor(place).astype(int)
    return first, (place - first).astype(np.float32)


def _resize_linear(pixels, width, height):
    """Return what OpenCV's bilinear gives for uint8, whose arithmetic is of whole numbers."""
    old_height, old_width, _ = pixels.shape
    x = pixels.astype(np.int64)
    if (old_height, old_width) == (2 * height, 2 * width):  # OpenCV averages four pixels then
        return ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2] + 2) >> 2).astype('u1')
    first, share = _sample_points(old_width, width)
    weights = np.rint(np.stack([1 - share, share]) * ONE).astype(np.int64)[..., None]
    left, right = np.clip([first, first + 1], 0, old_width - 1)
    x = x[:, left] * weights[0] + x[:, right] * weights[1]
    first, share = _sample_points(old_height, height)
    weights = np.rint(np.stack([1 - share, share]) * ONE).astype(np.int64)[..., None, None]
    above, below = np.clip([first, first + 1], 0, old_height - 1)
    above, below = (weights[0] * (x[above] >> 4)) >> 16, (weights[1] * (x[below] >> 4)) >> 16
    return ((above + below + 2) >> 2).astype(np.uint8)


def _resize_cubic(pixels, width, height):
    """Return OpenCV's bicubic for uint8; one value in a thousand may be off by a grey level."""

    def resize_axis(x, target):  # the first one
        first, t = _sample_points(len(x), target)
        a = np.float32(-0.75)
        weights = [
            ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
            ((a + 2) * t - (a + 3)) * t * t + 1,
            ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1,
        ]
        weights.append(1 - sum(weights))
        taps = (np.clip(first + k, 0, len(x) - 1) for k in range(-1, 3))
        return sum(x[tap] * w[:, None, None] for tap, w in zip(taps, weights))  # noqa: B905

    x = resize_axis(pixels.astype(np.float32).swapaxes(0, 1), width).swapaxes(0, 1)
    return np.clip(np.rint(resize_axis(x, height)), 0, 255).astype(np.uint8)


def _target_size(step, width, height):
    """Return the width and height that a step of the resize rule makes of an image."""
    if step['step'] == 'resize':
        return step['width'], step['height']
    if step['step'] == 'fit':  # within a box, which may lie or stand
        scale = min(step['long'] / max(width, height), step['short'] / min(width, height))
        return int(width * scale + 0.5), int(height * scale + 0.5)
    size, edge = step['size'], step['edge']
    to_width = {'short': width < height, 'long': width > height}.get(edge, edge == 'width')
    return (size, int(size * height / width)) if to_width else (int(size * width / height), size)


def apply_rule(pixels, rule):
    """Return pixels after all steps of a resize rule.

    Args:
        pixels: (H, W, C) uint8.
        rule: The steps, as the metadata has them.
    """
    for step in rule:
        height, width, _ = pixels.shape
        if step['step'] == 'center_crop':
            new_width, new_height = min(step['width'], width), min(step['height'], height)
            left, top = round((width - new_width) / 2), round((height - new_height) / 2)
            pixels = pixels[top : top + new_height, left : left + new_width]
        else:
            size = _target_size(step, width, height)
            pixels = resize(pixels, *size, step['backend'], step['interpolation'])
    return pixels


def prepare(path, metadata):
    """Return a photo as the network takes it, (1, C, H, W) float32.

    Args:
        path: The file.
        metadata: That of the exported file.
    """
    pixels = read_photo(path, metadata['channel_order'])
    pixels = apply_rule(pixels, json.loads(metadata['resize']))
    mean, std = (np.float32(json.loads(metadata[key])) for key in ('mean', 'std'))
    return ((np.float32(pixels) - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)


def main(model, *photos):
    """Print for each photo its likeliest classes, or the shapes of what the network gives."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    metadata = session.get_modelmeta().custom_metadata_map
    classes = json.loads(metadata['classes'])
    for photo in photos:
        outputs = session.run(None, {'images': prepare(photo, metadata)})
        if metadata['task'] != 'classify':
            print(photo, *(output.shape for output in outputs))
            continue
        scores = outputs[0][0]
        best = scores.argsort()[::-1][:5]
        named = (f'{classes[i] if classes else i} {100 * scores[i]:.1f} %' for i in best)
        print(f'{photo}: {", ".join(named)}')


if __name__ == '__main__':
    main(*sys.argv[1:])
