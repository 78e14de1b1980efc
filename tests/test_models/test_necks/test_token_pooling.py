import pytest
import torch
from mmpretrain.models.necks.gem import gem
from mmpretrain.registry import MODELS
from torch import nn

from vit_plugins.models.necks.token_pooling import generalized_mean

RAW = torch.randn(2, 2 + 6, 4)  # two extra tokens, a grid of 2 x 3
MAP = RAW[:, 2:].transpose(1, 2).unflatten(2, (2, 3))
PAIR = (RAW[:, 0], RAW[:, 1])


def build(mode='cls', **settings):
    return MODELS.build({'type': 'TokenPooling', 'mode': mode, **settings})


def pool(last, *args, **settings):
    (out,) = build(*args, **settings)((None, last))  # earlier outputs do not matter
    return out


def by_hand(mode):
    patches = RAW[:, 2:]
    if mode == 'gem':
        return (patches.clamp(min=1e-6) ** 3).mean(1) ** (1 / 3)
    return patches.mean(1) if mode == 'avg' else patches.max(1).values


@pytest.mark.parametrize('mode', ['avg', 'max', 'gem'])
def test_patches_of_tokens_and_maps(mode):
    expected = by_hand(mode)
    torch.testing.assert_close(pool(RAW, mode, num_extra_tokens=2), expected)
    torch.testing.assert_close(pool(MAP, mode), expected)
    torch.testing.assert_close(build(mode)(MAP)[0], expected)  # a bare tensor


def test_gem_equals_the_hosts_on_maps():
    torch.testing.assert_close(pool(MAP, 'gem'), gem(MAP, torch.tensor(3.0)).flatten(1))


def test_gem_clamps_what_is_negative():
    x = torch.tensor([[[1.0, -1.0], [2.0, -2.0]]])
    torch.testing.assert_close(generalized_mean(x, 1.0), torch.tensor([[1.5, 1e-6]]))
    torch.testing.assert_close(generalized_mean(x, 2.0, 0.5), torch.tensor([[2.5**0.5, 0.5]]))
    assert generalized_mean(x, 100.0)[0, 0] == pytest.approx(2, rel=0.01)


def test_gem_is_float32_in_half_precision():
    out = pool(MAP.bfloat16(), 'gem')
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, pool(MAP.bfloat16().float(), 'gem'))


def test_class_token():
    assert torch.equal(pool(RAW), RAW[:, 0])
    assert torch.equal(pool(RAW[:, 0]), RAW[:, 0])


@pytest.mark.parametrize('last', [PAIR, RAW], ids=['pair', 'raw'])
def test_distilled(last):
    assert torch.equal(pool(last, num_extra_tokens=2), RAW[:, 0])
    assert torch.equal(pool(last, which='dist', num_extra_tokens=2), RAW[:, 1])
    expected = RAW[:, :2].mean(1)
    torch.testing.assert_close(pool(last, which='mean', num_extra_tokens=2), expected)


@pytest.mark.parametrize('extra', [1, 2])
def test_class_token_and_mean_of_the_patches(extra):
    out = pool(RAW, 'cls_avg', num_extra_tokens=extra)
    assert out.shape == (2, 8)
    assert torch.equal(out[:, :4], RAW[:, 0])
    torch.testing.assert_close(out[:, 4:], RAW[:, extra:].sum(1) / (8 - extra))


def test_learned_exponent():
    pooling = build('gem', learn_p=True)
    assert [name for name, _ in pooling.named_parameters()] == ['p']
    pooling(MAP)[0].sum().backward()
    assert pooling.p.grad != 0
    assert not list(build('gem').parameters())


def test_gradient_reaches_the_tokens():
    tokens = RAW.clone().requires_grad_()
    pool(tokens, 'cls_avg').sum().backward()
    assert tokens.grad.ne(0).all()
    for mode in ('avg', 'max', 'gem'):
        tokens = MAP.clone().requires_grad_()
        pool(tokens, mode).sum().backward()
        assert tokens.grad.isfinite().all()
        assert tokens.grad.any()


@pytest.mark.parametrize(
    ('last', 'settings', 'message'),
    [
        (MAP, dict(), r"a map \(2, 4, 2, 3\) has no class token: set the backbone's out_type"),
        (RAW, dict(num_extra_tokens=0), r'needs 1 extra token\(s\).*got none'),
        (RAW, dict(which='dist'), r"needs 2 extra.*set which='cls' unless"),
        (RAW[:, 0], dict(which='mean'), r'needs 2 extra token'),
        (RAW[:, 0], dict(mode='avg'), r'features \(2, 4\), where none are left: set its out_type'),
        (
            MAP,
            dict(mode='cls_avg'),
            r'raw tokens .* got features \(2, 4, 2, 3\): set the backbone',
        ),
        (PAIR, dict(mode='cls_avg'), r"got a tuple: set the backbone's out_type to 'raw'"),
        (PAIR, dict(mode='gem'), r'returns a tuple, where none are left'),
    ],
)
def test_refuses_what_it_cannot_pool(last, settings, message):
    with pytest.raises(ValueError, match=message):
        pool(last, **settings)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(mode='mean'), r"mode \('mean'\) must be one of"),
        (dict(which='both'), r"which \('both'\) must be one of"),
        (dict(mode='avg', which='dist'), "which='dist' names extra tokens"),
        (dict(num_extra_tokens=-1), r'num_extra_tokens \(-1\) must not be negative'),
        (dict(mode='cls_avg', which='dist'), "which='dist' names extra tokens"),
        (dict(mode='cls_avg', num_extra_tokens=0), "mode='cls_avg' needs a class token"),
        (dict(mode='avg', learn_p=True), "learn_p=True has no effect with mode='avg'"),
        (dict(mode='gem', p=0.5), r'p \(0.5\) must be at least 1'),
        (dict(mode='gem', eps=0), r'eps \(0\) must be positive'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_repr():
    default = MODELS.build({'type': 'TokenPooling'})
    assert repr(default) == 'TokenPooling(mode=cls, num_extra_tokens=1, which=cls)'
    assert 'mode=gem, num_extra_tokens=1, p=3, eps=1e-06' in repr(build('gem'))
    assert isinstance(build('gem', learn_p=True).p, nn.Parameter)
