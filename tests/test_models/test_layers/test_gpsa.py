import copy
import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from timm.models.convit import GPSA as TimmGPSA
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as scaled_attention
from torch.nn.utils import prune
from torch.utils._python_dispatch import TorchDispatchMode

from vit_plugins.models.layers import gpsa
from vit_plugins.models.layers import positional_attention as functions
from vit_plugins.models.layers.gpsa import GPSA, joined_linear
from vit_plugins.models.layers.plain_modules import is_plain_linear

SWITCHES = {
    'default': {},
    'no local init': dict(use_local_init=False),
    'strength': dict(locality_strength=0.1),
    'fixed gate': dict(gate=0.5),
    'position only': dict(gate=1),
    'content only': dict(gate=0),
    'frozen': dict(frozen=True),
    'psa': dict(mode='psa'),
    'psa frozen': dict(mode='psa', frozen=True),
    'bias': dict(qkv_bias=True),
    'attention dropout': dict(attn_drop=0.3),
    'psa dropout': dict(mode='psa', attn_drop=0.3),
}


def randomise(module: nn.Module) -> nn.Module:
    """Sample gates, position weights and biases, so that no weight has its initial value."""
    with torch.no_grad():
        for name, param in module.named_parameters():
            if 'gating_param' in name:
                param.normal_(std=2)
            elif 'pos_proj' in name:
                param.add_(0.3 * torch.randn_like(param))
            elif name.endswith('bias'):
                param.normal_(std=0.2)
            else:
                param.normal_(std=0.3)
    return module


def paper_attention(layer: GPSA, x: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Compute Eq. 6-8 patch by patch: relative features, two softmaxes, the gate."""
    b, n, dims = x.shape
    heads, d = layer.num_heads, dims // layer.num_heads
    patches = [(row, col) for row in range(grid[0]) for col in range(grid[1])]
    maps = torch.zeros(b, heads, n, n, dtype=x.dtype)
    for image in range(b):
        queries, keys = layer.qk(x[image]).split(dims, dim=1)
        for head in range(heads):
            part = slice(head * d, (head + 1) * d)
            gate = layer.gating_param[head].sigmoid()
            for i, (row, col) in enumerate(patches):
                content = keys[:, part] @ queries[i, part] / math.sqrt(d)
                offsets = torch.tensor([(c - col, r - row) for r, c in patches], dtype=x.dtype)
                features = torch.cat([offsets, (offsets**2).sum(1, keepdim=True)], dim=1)
                position = features @ layer.pos_proj.weight[head] + layer.pos_proj.bias[head]
                if layer.mode == 'psa':
                    maps[image, head, i] = (content + position).softmax(0)
                else:
                    mixed = (1 - gate) * content.softmax(0) + gate * position.softmax(0)
                    maps[image, head, i] = mixed / mixed.sum()
    return maps


def distances(grid: tuple[int, int]) -> torch.Tensor:
    rows, cols = torch.meshgrid(*(torch.arange(n) for n in grid), indexing='ij')
    points = torch.stack((rows.flatten(), cols.flatten()), dim=1).double()
    return torch.cdist(points, points)


# --- independent values -------------------------------------------------------------------------


def test_golden_values():
    # From facebookresearch/convit @0a9340a; timm 1.0.31 gives the same.
    layer = GPSA(8, 4).double()

    def fill(rows, scale, step_i, step_j):
        i, j = torch.arange(rows).double()[:, None], torch.arange(8).double()
        return scale * torch.cos(step_i * i + step_j * j)

    with torch.no_grad():
        layer.qk.weight.copy_(fill(16, 0.5, 0.3, 0.7))
        layer.v.weight.copy_(fill(8, 0.4, 0.5, 0.2))
        layer.proj.weight.copy_(fill(8, 0.3, 0.9, 0.4))
        layer.proj.bias.copy_(0.01 * torch.arange(8).double())
        layer.gating_param.copy_(torch.tensor([-1.0, 0, 1, 2]))
    x = torch.sin(0.1 * torch.arange(1, 145, dtype=torch.double)).view(2, 9, 8)
    y, attn = layer(x, (3, 3)), layer.get_attention_map(x, (3, 3))

    def close(actual, *expected, tol=1e-8):
        torch.testing.assert_close(actual, torch.tensor(expected).double(), atol=tol, rtol=0)

    torch.set_default_dtype(torch.double)  # for the literals below
    try:
        close(
            y[0, 0],
            *(0.45160531, 1.0225515, 0.8272189, 0.02099913),
            *(-0.77840896, -0.95846147, -0.37533044, 0.53724999),
        )
        close(
            y[1, 4],
            *(0.06917034, 0.05461428, 0.00629502, -0.03165259),
            *(-0.02294274, 0.03340091, 0.10230643, 0.13919528),
        )
        close(y.sum()[None], 7.86902266)
        close((y**2).sum()[None], 19.58289247)
        close(
            attn[0, 1, 4],
            *(0.078771, 0.078036, 0.058719, 0.158993, 0.154934),
            *(0.061018, 0.161374, 0.169037, 0.079116),
            tol=1e-6,
        )
        position = functions.outer(
            *functions.positional_factors(layer.pos_proj.weight, (3, 3)), product=True
        )
        row = (0.219315, 0.219315, 0.029681, 0.219315, 0.219315, 0.029681)
        close(position[0, 4], *row, 0.029681, 0.029681, 0.004017, tol=1e-6)
        row = (0.029681, 0.029681, 0.004017, 0.219315, 0.219315, 0.029681)
        close(position[1, 4], *row, 0.219315, 0.219315, 0.029681, tol=1e-6)
        local = (attn.mean(0) * distances((3, 3))).sum(-1).mean(-1)
        close(local, 1.275705, 1.103442, 0.937437, 0.828273, tol=1e-6)
    finally:
        torch.set_default_dtype(torch.float)


@pytest.mark.parametrize('grid', [(3, 3), (2, 5), (1, 4)])
@pytest.mark.parametrize('mode', ['gpsa', 'psa'])
def test_equals_the_paper_patch_by_patch(grid, mode):
    layer = randomise(GPSA(12, 4, qkv_bias=True, mode=mode)).double()
    x = torch.randn(2, grid[0] * grid[1], 12, dtype=torch.double)
    maps = paper_attention(layer, x, grid)
    values = layer.v(x).view(2, -1, 4, 3).transpose(1, 2)
    expected = layer.proj((maps @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer.get_attention_map(x, grid), maps, atol=1e-12, rtol=0)
    torch.testing.assert_close(layer(x, grid), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 5e-6), (torch.double, 1e-12)])
@pytest.mark.parametrize('bias', [False, True])
def test_equals_timm(dtype, tol, bias):
    ours, timms = GPSA(36, 9, qkv_bias=bias).to(dtype), TimmGPSA(36, 9, qkv_bias=bias).to(dtype)
    timms.load_state_dict(randomise(ours).state_dict())
    x = torch.randn(3, 49, 36, dtype=dtype)
    torch.testing.assert_close(ours(x, (7, 7)), timms(x), atol=tol, rtol=0)
    torch.testing.assert_close(
        ours.get_attention_map(x, (7, 7)), timms.get_attention(x), atol=tol, rtol=0
    )


def test_gradients_equal_timm():
    ours, timms = GPSA(36, 9, qkv_bias=True), TimmGPSA(36, 9, qkv_bias=True)
    timms.load_state_dict(randomise(ours).state_dict())
    x = torch.randn(3, 49, 36)
    target = torch.randn(3, 49, 36)
    for out in (ours(x, (7, 7)), timms(x)):
        (out * target).sum().backward()
    expected = {name: param.grad for name, param in timms.named_parameters()}
    for name, param in ours.named_parameters():
        if name != 'pos_proj.bias':
            error = (param.grad - expected[name]).norm() / expected[name].norm()
            assert error < 1e-4, name


@pytest.mark.parametrize('grid', [(14, 14), (7, 28), (5, 3), (1, 6)])
def test_factor_product_is_the_dense_softmax(grid):
    weight = torch.randn(4, 3, dtype=torch.double)  # inverted Gaussians (w2 > 0) among them
    rows, cols = (axis.flatten() for axis in torch.meshgrid(
        *(torch.arange(n).double() for n in grid), indexing='ij'))  # fmt: skip
    dx, dy = cols - cols[:, None], rows - rows[:, None]
    dense = (torch.stack((dx, dy, dx**2 + dy**2), -1) @ weight.T).permute(2, 0, 1).softmax(-1)
    p_y, p_x = functions.positional_factors(weight, grid)
    product = functions.outer(p_y, p_x, product=True)
    torch.testing.assert_close(product, dense, atol=1e-12, rtol=0)
    v = torch.randn(2, grid[0] * grid[1], 4, 5, dtype=torch.double)
    expected = torch.einsum('hnm,bmhd->bnhd', dense, v)
    for apply in (functions._apply_by_axes, functions._apply_whole):
        torch.testing.assert_close(apply(v, p_y, p_x), expected, atol=1e-12, rtol=0)
        assert apply(v[:0], p_y, p_x).shape == (0, *v.shape[1:])


def test_both_forms_of_the_factor_product_have_the_same_gradients():
    inputs = [
        torch.randn(shape, dtype=torch.double, requires_grad=True)
        for shape in ((2, 15, 4, 6), (4, 3, 3), (4, 5, 5))
    ]
    weights = torch.randn(2, 15, 4, 6, dtype=torch.double)
    by_axes, whole = (
        torch.autograd.grad((form(*inputs) * weights).sum(), inputs)
        for form in (functions._apply_by_axes, functions._apply_whole)
    )
    for a, b in zip(by_axes, whole, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(('cuda', 'limit', 'whole'), [(True, 6, 1), (True, 5, 0), (False, 6, 0)])
def test_only_a_gpu_forms_the_map_and_only_a_small_one(cuda, limit, whole, monkeypatch):
    formed = []
    monkeypatch.setattr(functions, 'MAP_TOKENS', limit)
    monkeypatch.setattr(functions, '_apply_whole', lambda *_: formed.append(1))
    monkeypatch.setattr(functions, '_apply_by_axes', lambda *_: None)
    functions.apply_factors(
        SimpleNamespace(is_cuda=cuda), torch.ones(4, 2, 2), torch.ones(4, 3, 3)
    )
    assert len(formed) == whole


def test_an_exported_program_forms_no_map(monkeypatch):
    monkeypatch.setattr(functions, '_is_exporting', lambda: True)
    monkeypatch.setattr(functions, '_apply_whole', None)
    monkeypatch.setattr(functions, '_apply_by_axes', lambda *_: 'by axes')
    factors = torch.ones(4, 2, 2), torch.ones(4, 3, 3)
    assert functions.apply_factors(SimpleNamespace(is_cuda=True), *factors) == 'by axes'


# --- the convolutional start --------------------------------------------------------------------


def test_rows_of_nine_heads():
    weight = GPSA(18, 9).pos_proj.weight
    assert weight[:, 0].tolist() == [-2, -2, -2, 0, 0, 0, 2, 2, 2]
    assert weight[:, 1].tolist() == [-2, 0, 2, -2, 0, 2, -2, 0, 2]
    assert weight[:, 2].tolist() == [-1] * 9


@pytest.mark.parametrize('settings', [{}, dict(qkv_bias=True), dict(use_local_init=False)])
def test_all_other_weights_start_as_truncated_normal_and_biases_at_zero(settings):
    layer = GPSA(64, 4, **settings)
    linears = {layer.qk, layer.v, layer.pos_proj, layer.proj}
    local = {layer.v, layer.pos_proj} if layer.use_local_init else set()
    for linear in linears - local:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.5)
    assert not any(linear.bias.any() for linear in linears if linear.bias is not None)
    assert layer.gating_param.tolist() == [1] * 4


@pytest.mark.parametrize('heads', [1, 4, 9, 16])
def test_square_start_equals_timm(heads):
    timms = TimmGPSA(2 * heads, heads, locality_strength=0.3)
    timms.local_init()
    ours = GPSA(2 * heads, heads, locality_strength=0.3)
    torch.testing.assert_close(ours.pos_proj.weight, timms.pos_proj.weight)
    assert torch.equal(ours.v.weight, torch.eye(2 * heads))


@pytest.mark.parametrize('heads', [2, 3, 5, 6, 7, 8, 12])
def test_heads_that_are_not_a_square(heads):
    functions.attention_centres.cache_clear()
    with pytest.warns(UserWarning, match=f'GPSA with {heads} heads: not a square') as caught:
        layers = [GPSA(2 * heads, heads, locality_strength=0.5) for _ in range(3)]
    assert len(caught) == 1
    weight = layers[0].pos_proj.weight.double()
    strength, centres = -weight[:, 2], weight[:, :2] / (-2 * weight[:, 2:])
    assert strength.tolist() == [0.5] * heads
    assert len({tuple(centre) for centre in centres.tolist()}) == heads
    torch.testing.assert_close(centres.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    # Up to the shift they lie on the K x K grid.
    kernel = math.ceil(math.sqrt(heads))
    steps = centres - centres[0]
    torch.testing.assert_close(steps, steps.round(), atol=1e-6, rtol=0)
    assert (steps.round().amax(0) - steps.round().amin(0)).max() <= kernel - 1


def test_twelve_heads_leave_out_the_corners():
    functions.attention_centres.cache_clear()
    with pytest.warns(UserWarning, match='not a square'):
        centres = functions.attention_centres(12)
    corners = {(x, y) for x in (-1.5, 1.5) for y in (-1.5, 1.5)}
    assert not corners & set(centres)
    assert max(math.hypot(*centre) for centre in centres) < 2


UNIFORM_14 = 7.280764
NON_LOCALITY = [
    (4, 1, 0.9860, 0.9860, 0.9860, 0.1931),
    (9, 1, 1.2623, 0.7594, 1.4846, 0.3182),
    (16, 1, 1.5616, 0.9860, 2.0594, 0.1931),
    (9, 0.01, 5.9014, None, None, None),
    (9, 0.1, 2.6617, None, None, None),
    (9, 0.5, 1.4913, None, None, None),
    (9, 2, 1.1221, None, None, None),
    (9, 10, 1.0137, None, None, None),
]


@pytest.mark.parametrize(('heads', 'strength', 'mean', 'low', 'high', 'peak'), NON_LOCALITY)
def test_non_locality_at_the_start(heads, strength, mean, low, high, peak):
    factors = functions.positional_factors(
        functions.local_pos_weight(heads, strength).double(), (14, 14)
    )
    position = functions.outer(*factors, product=True)
    local = (position * distances((14, 14))).sum(-1).mean(-1)  # per head
    assert local.mean().item() == pytest.approx(mean, abs=6e-5)
    if peak is None:
        return
    assert local.min().item() == pytest.approx(low, abs=6e-5)
    assert local.max().item() == pytest.approx(high, abs=6e-5)
    assert position[:, 7 * 14 + 7].max().item() == pytest.approx(peak, abs=6e-5)


@pytest.mark.parametrize(('heads', 'whole'), [(4, 2.6789), (9, 2.8809), (16, 3.0997)])
def test_non_locality_of_the_whole_layer(heads, whole):
    layer = GPSA(2 * heads, heads).double()
    nn.init.zeros_(layer.qk.weight)  # uniform attention by content
    attn = layer.get_attention_map(torch.randn(1, 196, 2 * heads).double(), (14, 14))
    local = (attn * distances((14, 14))).sum(-1).mean()
    assert local.item() == pytest.approx(whole, abs=6e-5)


@pytest.mark.parametrize(('side', 'expected'), [(14, UNIFORM_14), (24, 12.502999)])
def test_non_locality_of_uniform_attention(side, expected):
    layer = GPSA(4, 1, gate=0).double()
    nn.init.zeros_(layer.qk.weight)
    attn = layer.get_attention_map(torch.randn(1, side * side, 4).double(), (side, side))
    local = (attn * distances((side, side))).sum(-1).mean()
    assert local.item() == pytest.approx(expected, abs=1e-6)


class Parent(BaseModule):
    def __init__(self, **kwargs):
        super().__init__(dict(type='TruncNormal', layer='Linear', std=0.02))
        self.attn = GPSA(18, 9, **kwargs)


def test_start_survives_the_init_of_a_parent():
    parent = Parent()
    before = parent.attn.qk.weight.clone()
    parent.init_weights()
    assert torch.equal(parent.attn.v.weight, torch.eye(18))
    assert torch.equal(parent.attn.pos_proj.weight, functions.local_pos_weight(9))
    assert not torch.equal(parent.attn.qk.weight, before)  # the parent's init did run
    nn.init.zeros_(parent.attn.v.weight)
    parent.init_weights()  # a second call initialises nothing, in the host as here
    assert not parent.attn.v.weight.any()


def test_without_local_init_the_parent_decides():
    parent = Parent(use_local_init=False)
    parent.init_weights()
    for linear in (parent.attn.v, parent.attn.pos_proj):
        assert 0.005 < linear.weight.std().item() < 0.04


def test_pretrained_layer_keeps_what_it_loads(tmp_path):
    file = str(tmp_path / 'layer.pth')
    trained = randomise(GPSA(8, 4))
    torch.save(trained.state_dict(), file)
    layer = GPSA(8, 4, init_cfg=dict(type='Pretrained', checkpoint=file))
    layer.init_weights()
    assert torch.equal(layer.v.weight, trained.v.weight)


# --- switches -----------------------------------------------------------------------------------


@pytest.mark.parametrize('settings', SWITCHES.values(), ids=SWITCHES)
def test_every_trained_parameter_gets_a_gradient(settings):
    layer = GPSA(16, 4, **settings).train()
    x = torch.randn(2, 6, 16, requires_grad=True)
    layer(x, (2, 3)).square().sum().backward()
    assert x.grad.any()
    for name, param in layer.named_parameters():
        assert (param.grad is not None) == param.requires_grad, name
    trained = {name for name, param in layer.named_parameters() if param.requires_grad}
    assert 'pos_proj.bias' not in trained
    assert ('gating_param' in trained) == (not {'gate', 'mode', 'frozen'} & settings.keys())
    assert bool(trained) == ('frozen' not in settings)


def test_fixed_gate_is_the_gate_whatever_is_loaded():
    layer = GPSA(16, 4, gate=0.5)
    layer.load_state_dict(randomise(GPSA(16, 4)).state_dict())
    assert layer.gating_param.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize('gate', [0, 0.1, 0.9, 1])
def test_fixed_gate_is_the_share_of_position(gate):
    assert GPSA(16, 4, gate=gate).gates().tolist() == pytest.approx([gate] * 4, abs=1e-7)


def test_gate_of_one_is_blind_to_content_and_of_zero_to_position():
    x, grid = torch.randn(2, 6, 16), (2, 3)
    position = GPSA(16, 4, gate=1)
    maps = [position.get_attention_map(images, grid) for images in (x, torch.randn(2, 6, 16))]
    torch.testing.assert_close(*maps)
    content = GPSA(16, 4, gate=0)
    torch.testing.assert_close(content(x, (2, 3)), content(x, (3, 2)))
    assert not torch.allclose(position(x, (2, 3)), position(x, (3, 2)))


@pytest.mark.parametrize(
    ('a', 'b'),
    [
        ({}, dict(gate=0.5)),
        ({}, dict(mode='psa')),
        ({}, dict(locality_strength=0.1)),
        ({}, dict(use_local_init=False)),
        ({}, dict(attn_drop=0.5)),
        ({}, dict(proj_drop=0.5)),
        ({}, dict(drop_path=0.5)),
        (dict(mode='psa'), dict(mode='psa', attn_drop=0.5)),
    ],
)
def test_each_argument_changes_the_output(a, b):
    outs = []
    for settings in (a, b):
        torch.manual_seed(0)
        layer = GPSA(16, 4, **settings).train()
        x = torch.randn(8, 6, 16)
        outs.append(layer(x, (2, 3)))
    assert not torch.allclose(*outs, atol=1e-4)


def test_attention_dropout_is_one_mask_on_the_mixture(monkeypatch):
    layer = randomise(GPSA(16, 4, attn_drop=0.5))
    x = torch.randn(2, 6, 16)
    seen = []

    def no_dropout(attn, p=0.5, training=True, inplace=False):
        if p:
            seen.append((attn, p))
        return attn

    monkeypatch.setattr(functions.F, 'dropout', no_dropout)
    torch.testing.assert_close(layer.train()(x, (2, 3)), layer.eval()(x, (2, 3)))
    (attn, rate), *others = seen
    assert not others
    assert rate == 0.5
    torch.testing.assert_close(attn, layer.get_attention_map(x, (2, 3)))


def test_attention_dropout_of_psa_is_the_rate_in_training_alone(monkeypatch):
    layer, attend, rates = GPSA(16, 4, mode='psa', attn_drop=0.3), scaled_attention, []

    def spy(q, k, v, bias, dropout):
        rates.append(dropout)
        return attend(q, k, v, bias, dropout)

    monkeypatch.setattr(functions.F, 'scaled_dot_product_attention', spy)
    for training in (True, False):
        layer.train(training)(torch.randn(2, 6, 16), (2, 3))
    assert rates == [0.3, 0]


def test_same_number_of_patches_on_another_grid_differs():
    layer, x = GPSA(8, 4), torch.randn(1, 196, 8)
    assert not torch.allclose(layer(x, (14, 14)), layer(x, (7, 28)), atol=1e-3)


# --- memory, precision, tools -------------------------------------------------------------------


class LargestTensor(TorchDispatchMode):
    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = out if isinstance(out, (tuple, list)) else (out,)
        self.numel = max([self.numel, *(t.numel() for t in tensors if torch.is_tensor(t))])
        return out


def test_no_tensor_of_n_by_n():
    layer, grid = GPSA(8, 4), (32, 32)
    x = torch.randn(1, 1024, 8, requires_grad=True)
    with LargestTensor() as largest:
        layer(x, grid).sum().backward()
    assert largest.numel < 1024 * 1024
    with LargestTensor() as largest:
        layer.get_attention_map(x, grid)
    assert largest.numel == 4 * 1024 * 1024  # the probe does see one


@pytest.mark.parametrize('settings', [{}, dict(mode='psa'), dict(attn_drop=0.01)])
def test_every_path_runs_under_autocast(settings):
    layer = GPSA(16, 4, **settings).train()
    x = torch.randn(2, 6, 16, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        out, attn = layer(x, (2, 3)), layer.get_attention_map(x, (2, 3))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.pos_proj.weight.grad.isfinite().all()
    torch.testing.assert_close(attn.float().sum(-1), torch.ones(2, 4, 6), atol=0.02, rtol=0)


def test_memory_layout_of_the_tokens_does_not_matter():
    layer, x = GPSA(16, 4), torch.randn(2, 16, 6).transpose(1, 2)  # as a convolution leaves them
    torch.testing.assert_close(layer(x, (2, 3)), layer(x.contiguous(), (2, 3)))


def test_factors_stay_in_single_precision_under_autocast():
    layer = randomise(GPSA(16, 4))
    x = torch.randn(2, 196, 16)
    with torch.autocast('cpu', torch.bfloat16):
        factors = functions.positional_factors(layer.pos_proj.weight, (14, 14))
        out = layer(x, (14, 14))
    exact = functions.positional_factors(layer.pos_proj.weight, (14, 14))
    assert all(torch.equal(a, b) for a, b in zip(factors, exact, strict=True))
    assert out.dtype == torch.bfloat16
    expected = layer(x, (14, 14))
    torch.testing.assert_close(out.float(), expected, atol=0.02 * expected.std().item(), rtol=0.05)


@pytest.mark.parametrize(
    ('dtype', 'expected'),
    [
        (torch.bfloat16, torch.float),
        (torch.half, torch.float),
        (torch.float, torch.float),
        (torch.double, torch.double),
    ],
)
def test_dtype_of_the_factors(dtype, expected):
    for factor in functions.positional_factors(torch.randn(4, 3).to(dtype), (3, 5)):
        assert factor.dtype == expected


@pytest.mark.parametrize('settings', [{}, dict(mode='psa')])
def test_whole_layer_in_half_precision(settings):
    layer = GPSA(16, 4, **settings).bfloat16()
    assert layer(torch.randn(1, 6, 16).bfloat16(), (2, 3)).dtype == torch.bfloat16


def test_deepcopy_and_dtype_after_a_forward():
    layer, x = GPSA(16, 4), torch.randn(1, 6, 16)
    expected = layer(x, (2, 3))
    again = copy.deepcopy(layer).double()(x.double(), (2, 3))
    torch.testing.assert_close(again.float(), expected)


def test_export():
    layer, x = GPSA(16, 4).eval(), torch.randn(2, 6, 16)
    program = torch.export.export(layer, (x, (2, 3)))
    torch.testing.assert_close(program.module()(x, (2, 3)), layer(x, (2, 3)))


def test_builds_from_the_registry_and_tells_its_settings():
    layer = MODELS.build(dict(type='GPSA', embed_dims=16, num_heads=4, gate=0.5))
    assert layer(torch.randn(2, 6, 16), hw_shape=(2, 3)).shape == (2, 6, 16)
    assert 'heads=4, mode=gpsa, gate=0.5, frozen=False' in repr(layer)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_heads=3), r'embed_dims \(16\) must be a multiple of num_heads \(3\)'),
        (dict(num_heads=0), 'must be a multiple of num_heads'),
        (dict(mode='both'), "mode must be 'gpsa' or 'psa', got 'both'"),
        (dict(gate=1.5), r'gate must be None or a number in \[0, 1\]'),
        (dict(gate=0.5, mode='psa'), "None if mode='psa'"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        GPSA(**{'embed_dims': 16, 'num_heads': 4, **settings})


def test_refuses_a_grid_of_another_size():
    with pytest.raises(ValueError, match=r'hw_shape \(2, 3\) has 6 patches, but x has 7 tokens'):
        GPSA(16, 4)(torch.randn(1, 7, 16), (2, 3))


class LoRA(nn.Module):
    """W x + b + B A x, as Hu et al. (arXiv 2106.09685) add it to a linear layer."""

    def __init__(self, linear, rank=2):
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(torch.randn(rank, linear.in_features))
        self.b = nn.Parameter(torch.randn(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.a.T @ self.b.T

    def merged(self):
        return self.linear.weight + self.b @ self.a


@pytest.mark.parametrize('mode', ['gpsa', 'psa'])
def test_lora_on_every_linear_layer_equals_the_merged_weights(mode):
    layer, x = GPSA(16, 4, mode=mode).eval().double(), torch.randn(2, 6, 16, dtype=torch.double)
    merged, names = copy.deepcopy(layer), ('qk', 'v', 'pos_proj', 'proj')
    for name in names:
        lora = LoRA(getattr(layer, name)).double()
        setattr(layer, name, lora)
        getattr(merged, name).weight.data = lora.merged().detach()
    out = layer(x, (2, 3))
    torch.testing.assert_close(out, merged(x, (2, 3)))
    torch.testing.assert_close(
        layer.get_attention_map(x, (2, 3)), merged.get_attention_map(x, (2, 3))
    )
    out.square().sum().backward()
    for name in names:
        assert getattr(layer, name).a.grad.any(), name
        assert getattr(layer, name).b.grad.any(), name


@pytest.mark.parametrize('bias', [False, True])
def test_called_layers_compute_what_plain_ones_do(bias):
    layer, x = GPSA(16, 4, qkv_bias=bias).double(), torch.randn(2, 6, 16, dtype=torch.double)
    for parameter in layer.parameters():
        parameter.data.normal_()
    layer(x, (2, 3)).square().sum().backward()
    expected = {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    called, names = set(), ('qk', 'v', 'pos_proj')
    observed = copy.deepcopy(layer)
    observed.zero_grad()
    for name in names:
        getattr(observed, name).register_forward_hook(lambda *_, name=name: called.add(name))
    out = observed(x, (2, 3))
    torch.testing.assert_close(out, layer(x, (2, 3)))
    assert called == set(names)
    out.square().sum().backward()
    for name, parameter in observed.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name])


@pytest.mark.parametrize('bias', [False, True])
def test_joined_layers_compute_what_both_do(bias):
    first, second = (nn.Linear(6, n, bias=bias).double() for n in (8, 4))
    x = torch.randn(2, 3, 6, dtype=torch.double)
    expected = torch.cat((first(x), second(x)), -1)
    torch.testing.assert_close(joined_linear(x, first, second), expected)


def test_only_layers_alike_are_joined():
    plain, other, biased = (nn.Linear(6, 4, bias=bias) for bias in (False, False, True))
    assert gpsa._can_join(plain, other)
    assert not gpsa._can_join(plain, biased)
    assert not gpsa._can_join(LoRA(biased), biased)


def test_a_weight_of_a_class_of_its_own_is_left_to_its_layer():
    class Packed(torch.Tensor):
        pass

    layer = nn.Linear(3, 4)
    assert is_plain_linear(layer)
    layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Packed))
    assert not is_plain_linear(layer)


def test_every_trained_parameter_has_a_gradient_also_where_all_are_trained():
    layer = GPSA(16, 4).requires_grad_(True)
    layer(torch.randn(2, 6, 16), (2, 3)).square().sum().backward()
    missing = [name for name, parameter in layer.named_parameters() if parameter.grad is None]
    assert not missing  # DDP would wait for it
    assert not layer.pos_proj.bias.grad.abs().gt(1e-4).any()


@pytest.mark.parametrize('name', ['qk', 'v', 'pos_proj'])
def test_pruned_weights_are_followed(name):
    layer, x = GPSA(16, 4).eval(), torch.randn(2, 6, 16)
    pruned = copy.deepcopy(layer)
    prune.random_unstructured(getattr(pruned, name), 'weight', amount=0.5)
    mask = getattr(pruned, name).weight_mask
    getattr(pruned, name).weight_orig.data *= 2  # the weight is formed anew at each call
    getattr(layer, name).weight.data *= 2 * mask
    torch.testing.assert_close(pruned(x, (2, 3)), layer(x, (2, 3)))


def test_bias_of_the_positions_changes_nothing():
    layer, x = GPSA(16, 4).eval().double(), torch.randn(2, 6, 16, dtype=torch.double)
    expected = layer(x, (2, 3))
    layer.pos_proj.bias.data.normal_()
    torch.testing.assert_close(layer(x, (2, 3)), expected)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_dynamic_int8_runs_on_the_rounded_positions():
    quantization = pytest.importorskip('torch.ao.quantization')
    layer, x = GPSA(16, 4).eval(), torch.randn(2, 20, 16)
    layer.pos_proj.weight.data.normal_()
    rounded = copy.deepcopy(layer)
    quantized = quantization.quantize_dynamic(layer, {'pos_proj'})
    assert type(quantized.pos_proj) is not nn.Linear
    weight = quantized.pos_proj.weight().dequantize()
    assert not torch.equal(weight, rounded.pos_proj.weight)
    rounded.pos_proj.weight.data = weight
    # Unit vectors and zeros have exact codes, so that nothing but the weights is rounded.
    torch.testing.assert_close(quantized(x, (4, 5)), rounded(x, (4, 5)), atol=1e-5, rtol=1e-5)
    whole = quantization.quantize_dynamic(layer, {nn.Linear})
    assert not [m for m in whole.modules() if type(m) is nn.Linear]
    error = (whole(x, (4, 5)) - layer(x, (4, 5))).abs().mean()
    assert error < 0.05 * layer(x, (4, 5)).abs().mean()


def test_autocast_does_not_round_the_positions():
    layer = GPSA(16, 4)
    layer.pos_proj.weight.data.normal_()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(layer.positional_weight(), layer.pos_proj.weight)
