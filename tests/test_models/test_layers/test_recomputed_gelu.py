"""Feed-forward networks that compute their GELU twice: the same numbers from less memory."""

import copy

import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.checkpoint import checkpoint

from vit_plugins.models.layers import recomputed_gelu
from vit_plugins.models.layers.recomputed_gelu import GELULinear, recompute_gelus

D, WIDE = 8, 32


def both(act='GELU', drop=0.0, **kwargs):
    """Return the host's network and a copy that recomputes."""
    host = FFN(D, WIDE, act_cfg=dict(type=act), ffn_drop=drop, **kwargs)
    ours = copy.deepcopy(host)
    recompute_gelus(ours)
    assert list(ours.state_dict()) == list(host.state_dict())
    return host, ours


def gradients(network, x, cast=None):
    x = x.clone().requires_grad_()
    with torch.autocast('cpu', cast, enabled=cast is not None):
        out = network(x)
    parameters = [x, *(p for p in network.parameters() if p.requires_grad)]
    return [out, *torch.autograd.grad(out.float().square().mean(), parameters)]


def kept_elements(network, x):
    """Count the elements, other than weights, that the forward pass keeps."""
    weights = {p.data_ptr() for p in network.parameters()}
    kept = {}

    def pack(t):
        kept[t.data_ptr()] = t.numel() * (t.data_ptr() not in weights)
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        network(x.clone().requires_grad_())
    return sum(kept.values())


@pytest.mark.parametrize('shape', [(5, D), (2, 7, D), (2, 0, D)])
@pytest.mark.parametrize('cast', [None, torch.bfloat16])
def test_outputs_and_gradients_are_those_of_the_host(shape, cast):
    host, ours = both()
    x = torch.randn(shape)
    expected, found = gradients(host, x, cast), gradients(ours, x, cast)
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(other, one, equal_nan=True)
        assert cast or one.equal(other) or not x.numel()


@pytest.mark.parametrize('frozen', ['weight', 'bias'])
def test_frozen_weights(frozen):
    host, ours = both()
    for network in (host, ours):
        getattr(network.layers[1], frozen).requires_grad = False
    x = torch.randn(3, D)
    torch.testing.assert_close(gradients(ours, x), gradients(host, x))


def test_weights_shared_with_another_call_get_both_gradients_under_autocast():
    host, ours = both()
    x, found = torch.randn(3, D, requires_grad=True), []
    for network in (host, ours):
        with torch.autocast('cpu', torch.bfloat16):
            first = network(x)
            with torch.no_grad():
                wide = network.layers[0](x)
            out = first + network.layers[1](wide)
        network.layers[1].weight.grad = None
        out.float().square().sum().backward()
        found.append(network.layers[1].weight.grad)
    torch.testing.assert_close(found[1], found[0])


def test_one_wide_tensor_is_kept_in_place_of_two():
    host, ours = both()
    x = torch.randn(4, D)
    assert kept_elements(host, x) - kept_elements(ours, x) == 4 * WIDE


@pytest.mark.parametrize('approximate', ['none', 'tanh'])
@pytest.mark.parametrize('bias', [True, False])
def test_first_and_second_derivatives(approximate, bias):
    h = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    added = torch.randn(5, dtype=torch.double, requires_grad=True) if bias else None
    inputs = (h, weight, added, approximate)
    assert torch.autograd.gradcheck(GELULinear.apply, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(GELULinear.apply, inputs)


def test_gradients_of_each_sample_by_torch_func():
    host, ours = both()
    x = torch.randn(3, 5, D)

    def loss(network):
        return lambda weights, one: functional_call(network, weights, (one[None],)).square().sum()

    found = [
        vmap(grad(loss(network)), in_dims=(None, 0))(dict(network.named_parameters()), x)
        for network in (host, ours)
    ]
    torch.testing.assert_close(found[1], found[0])


def test_checkpointing_keeps_no_wide_tensor():
    ours = both()[1]
    x = torch.randn(4, D)

    def network(x):
        return checkpoint(ours, x, use_reentrant=False)

    network.parameters = ours.parameters
    torch.testing.assert_close(gradients(network, x), gradients(ours, x))
    assert kept_elements(network, x) <= x.numel()


class Mask(nn.Module):
    """A gate on the wide tensor, as a tool may put it in place of the dropout."""

    def forward(self, x):
        return x * (torch.arange(WIDE) % 2)


def hook(layer):
    layer.register_forward_hook(lambda module, args, out: 2 * out)


def pre_hook(layer):
    layer.register_forward_pre_hook(lambda module, args: (2 * args[0],))


def backward_hook(layer):
    layer.register_full_backward_hook(lambda module, grads, _: (2 * grads[0],))


def own_forward(layer):
    layer.forward = lambda x, before=layer.forward: 2 * before(x)


@pytest.mark.parametrize('change', [hook, pre_hook, backward_hook, own_forward])
@pytest.mark.parametrize('place', ['0', '0.0', '0.1', '0.2', '1', '2'])
def test_what_is_put_on_a_layer_acts_as_on_the_host(change, place):
    host, ours = both()
    for network in (host, ours):
        change(network.layers.get_submodule(place))
    x = torch.randn(3, D)
    torch.testing.assert_close(gradients(ours, x), gradients(host, x))
    assert not torch.equal(gradients(ours, x)[1], gradients(both()[1], x)[1])


@pytest.mark.parametrize('kind', ['mask', 'identity', 'wrapper', 'adapter', 'ReLU'])
def test_what_is_put_in_place_of_a_layer_is_called(kind):
    host, ours = both('ReLU' if kind == 'ReLU' else 'GELU')
    for network in (host, ours):
        inner = network.layers[0]
        if kind in ('mask', 'identity'):
            inner[2] = Mask() if kind == 'mask' else nn.Identity()
        elif kind == 'wrapper':
            network.layers[0] = nn.Sequential(inner)
        elif kind == 'adapter':
            network.layers.append(nn.Tanh())
    x = torch.randn(3, D)
    torch.testing.assert_close(gradients(ours, x), gradients(host, x))
    torch.testing.assert_close(gradients(ours.eval(), x), gradients(host.eval(), x))


def test_dropout_draws_as_on_the_host():
    host, ours = both(drop=0.5)
    x, found = torch.randn(3, D), []
    for network in (host, ours):
        torch.manual_seed(0)
        found.append(gradients(network, x))
    torch.testing.assert_close(*found)
    torch.testing.assert_close(gradients(ours.eval(), x), gradients(host.eval(), x))


def test_forward_derivatives_by_torch_func():
    host, ours = both()
    x, along = torch.randn(2, 3, D)
    torch.testing.assert_close(jvp(ours, (x,), (along,)), jvp(host, (x,), (along,)))


def test_nothing_is_kept_without_gradient(monkeypatch):
    monkeypatch.setattr(recomputed_gelu, 'GELULinear', None)
    with torch.no_grad():
        both()[1](torch.randn(3, D))


def test_only_the_networks_of_the_host_are_changed():
    model = nn.ModuleDict(dict(deep=FFN(D, WIDE, num_fcs=3), other=nn.Sequential(nn.GELU())))
    before = model.deep.layers
    recompute_gelus(model)
    assert model.deep.layers is before
