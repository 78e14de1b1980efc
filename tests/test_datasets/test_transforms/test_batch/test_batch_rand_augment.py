from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmpretrain.datasets import RandAugment
from scipy import stats

from vit_plugins.datasets.seeds import image_seeds, uniforms
from vit_plugins.datasets.transforms.batch import BatchRandAugment

SETTINGS = {'policies': 'timm_increasing', 'num_policies': 2, 'magnitude_level': 9}


def sampled(augment, count, shape=(40, 48)):
    numbers = uniforms(image_seeds(0, 0, np.arange(count)), 0, augment.num_uniforms)
    return augment.sample(numbers, shape)


def test_policies_are_chosen_evenly_and_applied_as_often_as_by_the_host():
    augment = BatchRandAugment(**SETTINGS)
    choice = sampled(augment, 6000).choice.numpy()
    assert choice.shape == (6000, 2)
    applied = choice[choice < 15]
    assert stats.binomtest(len(applied), choice.size, 0.5).pvalue > 1e-3  # the host's prob
    assert stats.chisquare(np.bincount(applied, minlength=15)).pvalue > 1e-3
    pairs = np.histogram2d(*choice.T, [[0, 15, 16]] * 2)[0]  # the steps are independent
    assert stats.chi2_contingency(pairs).pvalue > 1e-3


@pytest.mark.parametrize('std', [0.5, 'inf', 0.0])
def test_strengths_are_distributed_as_those_of_the_host(std):
    settings = {**SETTINGS, 'num_policies': 1, 'magnitude_std': std}
    augment, host = BatchRandAugment(**settings), RandAugment(**settings)
    params = sampled(augment, 15_000)
    for number, transform in enumerate(host.transforms):
        ours = params.strength[params.choice == number].numpy()
        assert len(ours) > 300
        if transform.magnitude_range is None:
            assert not ours.any()
            continue
        theirs = [transform.random_negative(transform.random_magnitude()) for _ in ours]
        if std == 0:  # float32 against float64: no distribution is that exact
            counts = [np.unique(np.round(x, 4), return_counts=True) for x in (ours, theirs)]
            np.testing.assert_allclose(counts[0][0], counts[1][0], atol=1e-4)
            positive = int((ours > 0).sum())
            prob = 1 - transform.random_negative_prob if ours.any() else 0
            assert stats.binomtest(positive, len(ours), prob).pvalue > 1e-3
        else:
            # beyond the highest level many are equal, up to the precision of float32
            assert stats.ks_2samp(ours.round(4), np.round(theirs, 4)).pvalue > 1e-3


def test_pixels_are_those_of_the_host(batch, apart, image_of):
    count = 60
    images = batch(4).repeat(15, 1, 1, 1)
    settings = {**SETTINGS, 'magnitude_std': 0.5, 'hparams': {'pad_val': (128, 128, 128)}}
    augment, host = BatchRandAugment(**settings), RandAugment(**settings)
    params = sampled(augment, count)
    results = augment.apply(images, params)
    found = []
    for image, result, choice, strength in zip(
        images, results, params.choice, params.strength, strict=True
    ):
        expected = image_of(image).copy()
        for number, strong in zip(choice.tolist(), strength.tolist(), strict=True):
            if number < len(host.transforms):
                expected = certainly(host.transforms[number], strong, expected)
        found.append(apart(image_of(result), expected)[1])
    changed = [not torch.equal(a, b) for a, b in zip(images, results, strict=True)]
    assert 30 < sum(changed) < 58
    # one level less after ColorTransform can be some more after what follows it
    assert np.median(found) < 0.05
    assert np.max(found) < 2


def certainly(transform, strength, image):
    """Return the image after a transform of the host with a given strength."""
    methods = {
        'random_disable': lambda: False,
        'random_magnitude': lambda: strength,
        'random_negative': lambda value: value,
    }
    with patch.multiple(transform, **methods):
        return transform({'img': image})['img']


def test_own_policies_keep_their_settings(batch):
    augment = BatchRandAugment(
        [
            {'type': 'Translate', 'magnitude': 0.5, 'prob': 1.0, 'random_negative_prob': 0.0},
            {'type': 'Rotate', 'magnitude_range': (0, 30), 'pad_val': 3, 'prob': 0.0},
        ],
        num_policies=1,
        magnitude_level=10,
        hparams={'pad_val': 50},
    )
    params = sampled(augment, 400)
    assert set(params.choice.flatten().tolist()) == {0, 2}  # 2: none
    assert set(params.strength[params.choice == 0].tolist()) == {0.5}
    shifted = augment.apply(batch(1).expand(400, -1, -1, -1), params)
    assert (shifted[params.choice[:, 0] == 0][..., :24] == 50).all()


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'policies': 'best'}, ValueError, 'Invalid policies'),
        ({'num_policies': 0}, ValueError, 'num_policies must be greater than 0'),
        ({'magnitude_std': float('nan')}, ValueError, 'magnitude_std must be .* got nan'),
        (
            {'policies': [{'type': 'GaussianBlur', 'radius': 1}]},
            ValueError,
            'no batch form of Gau',
        ),
        ({'channel_order': 'grb'}, ValueError, "channel_order must be one of .* got 'grb'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        BatchRandAugment(**{**SETTINGS, **arguments})


def test_repr():
    text = repr(BatchRandAugment(**SETTINGS))
    assert text.startswith('BatchRandAugment(num_policies=2, magnitude_level=9, total_level=10, ')
    assert text.endswith("Translate (0, 0.45), channel_order='bgr')")
