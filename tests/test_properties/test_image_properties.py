"""Properties of every transform of an image or a batch of images, for any size."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from mmpretrain.registry import BATCH_AUGMENTS, TRANSFORMS
from PIL import Image
from properties import SEEDS, holds, over, thread_counts, threads

from vit_plugins.datasets.transforms.load_photo import LoadPhoto

PROBABILITIES = st.sampled_from([0.0, 0.5, 1.0])
CHANNELS, SIDES = st.sampled_from([1, 3]), st.integers(1, 40)
ALIKE = {'flip_prob': PROBABILITIES}


def pixels(seed, *shape, plain=False):
    if plain:
        return np.full(shape, seed % 256, np.uint8)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def settings(**strategies):
    return st.fixed_dictionaries(strategies)


ORDERS = st.sampled_from(['bgr', 'rgb'])
BATCH = {
    'BatchCompose': settings(
        transforms=st.lists(
            st.sampled_from([dict(type='BatchRandomFlip'), dict(type='BatchRandomErasing')])
        )
    ),
    'BatchRandAugment': settings(
        policies=st.sampled_from(['timm_increasing', 'simple_increasing']),
        num_policies=st.integers(1, 3),
        magnitude_level=st.floats(0, 10),
        magnitude_std=st.sampled_from([0, 0.5, 'inf']),
        channel_order=ORDERS,
    ),
    'BatchRandomErasing': settings(
        erase_prob=PROBABILITIES,
        min_area_ratio=st.floats(0, 0.3),
        max_area_ratio=st.floats(0.3, 1),
        mode=st.just('rand'),
        fill_std=st.sampled_from([None, 0.0, 50.0]),
    ),
    'BatchRandomFlip': settings(
        prob=PROBABILITIES, direction=st.sampled_from(['horizontal', 'vertical'])
    ),
    'BatchRandomResizedCrop': settings(
        scale=st.tuples(st.integers(1, 12), st.integers(1, 12)),
        crop_ratio_range=st.sampled_from([(0.08, 1.0), (0.001, 0.001), (1.0, 1.0)]),
        max_attempts=st.integers(0, 3),
        interpolation=st.sampled_from(['bilinear', 'bicubic']),
        **ALIKE,
    ),
    'BatchSimpleRandomCrop': settings(
        crop_size=st.integers(1, 12),
        padding=st.integers(0, 5),
        axes=st.sampled_from(['both', 'x']),
        **ALIKE,
    ),
    'BatchThreeAugment': settings(
        color_jitter=st.sampled_from([None, 0.3, 2.0]),
        blur_radius=st.sampled_from([(0.1, 2.0), (9.0, 9.0)]),
        channel_order=ORDERS,
        **ALIKE,
    ),
    'BatchTrivialAugment': settings(
        pad_val=st.integers(0, 255),
        interpolation=st.sampled_from(['nearest', 'bilinear', 'bicubic']),
        max_translate=st.floats(0, 50),
        channel_order=ORDERS,
    ),
}


def size_after(kwargs, h, w):
    if 'crop_size' in kwargs:
        return kwargs['crop_size'], kwargs['crop_size']
    return kwargs.get('scale', (h, w))


@over(BATCH)
def test_batch_transform(name, examples):
    def check(kwargs, batch, channels, h, w, plain, seed):
        transform = BATCH_AUGMENTS.build(dict(type=name, **kwargs))
        images = torch.from_numpy(pixels(seed, batch, channels, h, w, plain=plain))
        seeds = np.arange(batch) + seed
        before = images.clone()
        out = transform(images, seeds)
        assert torch.equal(images, before)  # it is not written to
        assert out.shape == (batch, channels, *size_after(kwargs, h, w))
        assert out.dtype == torch.uint8
        with threads(thread_counts(examples)[-1]):
            assert torch.equal(transform(images, seeds), out)
        for i in range(batch):  # an image gets the same result in any batch
            assert torch.equal(transform(images[i : i + 1], seeds[i : i + 1])[0], out[i])

    holds(
        check,
        examples,
        kwargs=BATCH[name],
        batch=st.integers(0, 4),
        channels=CHANNELS,
        h=SIDES,
        w=SIDES,
        plain=st.booleans(),
        seed=SEEDS,
    )


SINGLE = {
    'CropToBox': settings(),
    'SimpleRandomCrop': settings(
        crop_size=st.integers(1, 40),
        padding=st.integers(0, 5),
        axes=st.sampled_from(['both', 'x']),
        backend=st.sampled_from(['torch', 'pillow', 'cv2']),
    ),
    'ThreeAugment': settings(
        color_jitter=st.sampled_from([None, 0.3, 2.0]),
        blur_radius=st.sampled_from([(0.1, 2.0), (9.0, 9.0)]),
        **ALIKE,
    ),
}
SHAPES = st.tuples(SIDES, SIDES, st.sampled_from([(), (1,), (3,)])).map(lambda x: (*x[:2], *x[2]))


@over(SINGLE)
def test_transform(name, examples):
    def check(kwargs, shape, plain, turned, seed):
        transform = TRANSFORMS.build(dict(type=name, **kwargs))
        img = pixels(seed, *shape, plain=plain)
        img = img[::-1] if turned else img  # negative strides
        box = (shape[1] / 4, -3.0, shape[1] + 0.6, shape[0] + 2.0)
        size = kwargs.get('crop_size')
        results = []
        for number in thread_counts(examples):
            np.random.seed(seed)  # noqa: NPY002  (the stream of the host's transforms)
            with threads(number):
                found = transform(dict(img=img.copy() if results else img, crop_box=box))
            results.append(found['img'])
        out = results[0]
        assert out.dtype == np.uint8
        if name == 'CropToBox':
            assert out.shape[0] == shape[0]
            assert out.shape[2:] == shape[2:]
        else:
            assert out.shape == ((size, size, *shape[2:]) if size else shape)
        assert all(np.array_equal(out, other) for other in results)
        assert np.array_equal(img, pixels(seed, *shape, plain=plain)[:: -1 if turned else 1])

    holds(
        check,
        examples,
        kwargs=SINGLE[name],
        shape=SHAPES,
        plain=st.booleans(),
        turned=st.booleans(),
        seed=SEEDS,
    )


MODES = {'L': 'png', 'RGB': 'jpg', 'RGBA': 'png', 'P': 'png', 'CMYK': 'jpg', '1': 'png'}


@over({'LoadPhoto': None})
def test_photo(name, examples, tmp_path):
    def check(mode, h, w, seed):
        path = tmp_path / f'photo.{MODES[mode]}'
        Image.fromarray(pixels(seed, h, w, 3)).convert(mode).save(path)
        img = LoadPhoto()(dict(img_path=str(path)))['img']
        assert img.shape == (h, w, 3)
        assert img.dtype == np.uint8

    holds(check, examples, mode=st.sampled_from(sorted(MODES)), h=SIDES, w=SIDES, seed=SEEDS)


@pytest.mark.parametrize('name', sorted(BATCH))
@pytest.mark.parametrize(
    ('images', 'error'),
    [
        (torch.zeros(2, 3, 4, 4), TypeError),
        (torch.zeros(2, 4, 4, 4, dtype=torch.uint8), ValueError),
        (torch.zeros(2, 3, 0, 4, dtype=torch.uint8), ValueError),
        (torch.zeros(3, 3, 4, 4, dtype=torch.uint8), ValueError),  # and two seeds
    ],
)
def test_other_batches_are_refused(name, images, error):
    kwargs = {
        'BatchRandAugment': dict(policies='timm_increasing', num_policies=1, magnitude_level=9),
        'BatchCompose': dict(transforms=[]),
        'BatchRandomResizedCrop': dict(scale=8),
        'BatchSimpleRandomCrop': dict(crop_size=8),
    }.get(name, {})
    transform = BATCH_AUGMENTS.build(dict(type=name, **kwargs))
    with pytest.raises(error, match=name):
        transform(images, np.arange(2))
