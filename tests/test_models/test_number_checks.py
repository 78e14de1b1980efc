import math

import pytest

from vit_plugins.models._number_checks import check_rates, check_ratios, check_sizes


def test_fit_numbers_pass():
    check_sizes(img_size=224, patch_size=(16, 8), grid_size=None)
    check_rates(drop_rate=0, attn_drop_rate=1.0)


@pytest.mark.parametrize('size', [0, -1, math.nan, math.inf, (16, 0), [math.nan]])
def test_sizes_are_positive(size):
    with pytest.raises(ValueError, match='patch_size must be at least 1, got'):
        check_sizes(img_size=224, patch_size=size)


@pytest.mark.parametrize('size', [32.0, '32', (32, 16.5), [None]])
def test_sizes_are_integers(size):
    """A config may compute them, as in 224 / 2."""
    with pytest.raises(ValueError, match=r'img_size must be an? (integer|number), got'):
        check_sizes(img_size=size)


def test_ratios_may_be_fractions():
    check_ratios(mlp_ratio=1.5)
    for ratio in (0.5, math.nan, '4'):
        with pytest.raises(ValueError, match=r'mlp_ratio must be (at least 1|a number), got'):
            check_ratios(mlp_ratio=ratio)


def test_some_layers_are_left():
    with pytest.raises(ValueError, match=r'drop_path_rate must be less than 1, got 1.0'):
        check_rates(drop_rate=1.0, drop_path_rate=1.0)


@pytest.mark.parametrize('rate', [-0.1, 1.1, math.nan])
def test_rates_are_probabilities(rate):
    with pytest.raises(ValueError, match=f'drop_rate must lie between 0 and 1, got {rate}'):
        check_rates(drop_rate=rate)
