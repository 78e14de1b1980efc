import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image
from scipy import stats
from torchvision.transforms.v2 import TrivialAugmentWide

from vit_plugins.datasets.seeds import image_seeds, uniforms
from vit_plugins.datasets.transforms.batch import BatchTrivialAugment

THEIR_NAMES = {
    'identity': 'Identity',
    'auto_contrast': 'AutoContrast',
    'equalize': 'Equalize',
    'rotate': 'Rotate',
    'solarize': 'Solarize',
    'color': 'Color',
    'posterize': 'Posterize',
    'contrast': 'Contrast',
    'brightness': 'Brightness',
    'sharpness': 'Sharpness',
    'shear_x': 'ShearX',
    'shear_y': 'ShearY',
    'translate_x': 'TranslateX',
    'translate_y': 'TranslateY',
}
SPACE = TrivialAugmentWide._AUGMENTATION_SPACE


def sampled(augment, count):
    numbers = uniforms(image_seeds(0, 0, np.arange(count)), 0, augment.num_uniforms)
    return augment.sample(numbers, (32, 32))


def test_space_is_that_of_torchvision():
    augment = BatchTrivialAugment()
    assert set(SPACE) == set(THEIR_NAMES.values())
    params = sampled(augment, 14 * 31 * 40)
    for number, name in enumerate(augment._space()):
        ours = params.strength[params.choice == number].double()
        make, signed = SPACE[THEIR_NAMES[name]]
        theirs = make(31, 32, 32)
        theirs = torch.zeros(1) if theirs is None else theirs.double()
        if name == 'solarize':
            theirs = theirs * 255
        if name == 'posterize':
            ours = ours.round()
        theirs = torch.cat([theirs, -theirs]) if signed else theirs
        np.testing.assert_allclose(
            np.unique(ours.numpy().round(4)), np.unique(theirs.numpy().round(4)), atol=1e-3
        )


def test_operations_strengths_and_signs_are_drawn_evenly():
    augment = BatchTrivialAugment()
    params = sampled(augment, 20_000)
    assert params.choice.shape == (20_000, 1)
    assert stats.chisquare(np.bincount(params.choice[:, 0])).pvalue > 1e-3
    names = list(augment._space())
    angles = params.strength[params.choice == names.index('rotate')].numpy()
    levels = np.bincount((np.abs(angles) / 135 * 30).round().astype(int), minlength=31)
    assert stats.chisquare(levels).pvalue > 1e-3
    positive, negative = int((angles > 0).sum()), int((angles < 0).sum())
    assert stats.binomtest(positive, positive + negative).pvalue > 1e-3


ORACLES = {
    'identity': lambda image, _: image,
    'auto_contrast': lambda image, _: F.autocontrast(image),
    'equalize': lambda image, _: F.equalize(image),
    'solarize': lambda image, m: F.solarize(image, m),
    'posterize': lambda image, m: F.posterize(image, round(m)),
    'color': lambda image, m: F.adjust_saturation(image, 1 + m),
    'contrast': lambda image, m: F.adjust_contrast(image, 1 + m),
    'brightness': lambda image, m: F.adjust_brightness(image, 1 + m),
    'translate_x': lambda image, m: shifted(image, m, 0),
    'translate_y': lambda image, m: shifted(image, 0, m),
}


def shifted(image, right, down):
    """Return the image shifted as in the authors' code."""
    maps = (1, 0, -right, 0, 1, -down)
    return image.transform(image.size, Image.Transform.AFFINE, maps)


@pytest.mark.parametrize('name', list(ORACLES))
def test_pixels_are_those_of_pillow(batch, apart, image_of, name):
    augment = BatchTrivialAugment(channel_order='rgb')
    policy = augment._space()[name]
    images = batch(4)
    strength = torch.tensor([0.1, 0.4, 0.7, 0.95]) * (policy.strongest - policy.weakest)
    strength = strength + policy.weakest
    results = images if policy.operation is None else policy.operation(images, strength)
    for image, result, strong in zip(images, results, strength.tolist(), strict=True):
        expected = ORACLES[name](Image.fromarray(image_of(image)), strong)
        worst, mean = apart(image_of(result), np.array(expected))
        assert worst <= 1
        assert mean < 0.05


def test_shift_may_be_limited_for_small_images():
    policies = BatchTrivialAugment(max_translate=8)._space()
    assert policies['translate_x'].strongest == policies['translate_y'].strongest == 8


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'pad_val': (1, 2)}, r'pad_val must be one or three numbers .* got \(1, 2\)'),
        ({'pad_val': 300}, 'pad_val must be .* from 0 to 255'),
        ({'interpolation': 'area'}, "interpolation must be one of .* got 'area'"),
        ({'max_translate': -1}, 'max_translate must be at least 0, got -1'),
        ({'channel_order': 'grb'}, "channel_order must be one of .* got 'grb'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchTrivialAugment(**arguments)


def test_repr():
    assert repr(BatchTrivialAugment(7)) == (
        "BatchTrivialAugment(pad_val=(7, 7, 7), interpolation='nearest', max_translate=32, "
        "channel_order='bgr')"
    )
