import pytest
import torch
from mmpretrain.registry import MODELS

from vit_plugins.evaluation.functional.pca import fit_pca, fit_supervised_whitening


def build(**settings):
    return MODELS.build(dict(type='PCAProjection', in_dims=6, out_dims=3, **settings))


@pytest.mark.parametrize('mode', ['plain', 'whitening', 'supervised'])
def test_projects_as_fitted_and_keeps_it_in_the_state(mode):
    x, pairs = torch.randn(50, 6), torch.randint(50, (40, 2))
    pca = build(mode=mode)
    assert not pca.is_fitted
    with pytest.raises(RuntimeError, match=rf"mode='{mode}'\) has not been fitted.*FitPCAHook"):
        pca(x)
    pca.fit(x, pairs)
    fit = fit_supervised_whitening(x, pairs, 3) if mode == 'supervised' else None
    mean, projection = fit or fit_pca(x, 3, mode == 'whitening')
    expected = ((x.double() - mean) @ projection.T).float()
    torch.testing.assert_close(pca(x), expected, atol=1e-5, rtol=1e-5)
    for source in (pca, build(mode=mode)):  # strictly, fitted and not
        other = build(mode=mode)
        other.load_state_dict(source.state_dict(), strict=True)
        assert other.is_fitted == source.is_fitted
    other = build(mode=mode)
    other.load_state_dict(pca.state_dict())
    assert torch.equal(other(x), pca(x))
    assert not list(pca.parameters())


def test_numbers_of_another_mode_are_not_used():
    plain, whitening = build(), build(mode='whitening')
    plain.fit(torch.randn(50, 6))
    whitening.load_state_dict(plain.state_dict())
    assert not whitening.is_fitted


def test_float32_under_autocast_and_for_half_features():
    x = torch.randn(50, 6)
    pca = build()
    pca.fit(x)
    expected = pca(x)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(pca(x), expected)
    assert pca(x.bfloat16()).dtype == torch.float32


def test_messages_and_repr():
    for dims in (0, 7):
        with pytest.raises(
            ValueError, match=rf'out_dims \({dims}\) must lie within 1 and in_dims'
        ):
            MODELS.build(dict(type='PCAProjection', in_dims=6, out_dims=dims))
    with pytest.raises(ValueError, match=r"mode \('off'\) must be one of .*leave pca out"):
        build(mode='off')
    with pytest.raises(ValueError, match='features have 5 dimensions: set in_dims'):
        build().fit(torch.randn(9, 5))
    with pytest.raises(ValueError, match="mode='supervised' is fitted to pairs"):
        build(mode='supervised').fit(torch.randn(9, 6))
    assert repr(build()) == "PCAProjection(in_dims=6, out_dims=3, mode='plain')"
