"""The module: settings, random numbers, precision, special cases, and that it learns."""

import copy
import warnings

import mmengine.model
import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vit_plugins.models.losses.drloc_formulas import pair_offsets, sample_pairs
from vit_plugins.models.losses.drloc_loss import DRLocLoss

MODE_SETTINGS = [
    dict(preset=preset, mode=mode, signed=signed)
    for preset, mode, signed in [
        ('paper', 'l1', False),
        ('paper', 'l1', True),
        ('paper', 'ce', None),
        ('paper', 'reg', None),
        ('official', 'l1', False),
        ('official', 'l1', True),
        ('official', 'ce', False),
        ('official', 'ce', True),
        ('official', 'reg', False),
        ('official', 'reg', True),
    ]
]


def build(in_channels=8, **settings):
    settings = dict(hidden_dims=(16, 16), num_pairs=12) | settings
    return MODELS.build(dict(type='DRLocLoss', in_channels=in_channels, **settings))


def slow_loss(module, grid, pairs):
    """Compute the loss one pair at a time, from the equations of section 4."""
    h, w = grid.shape[-2:]
    paper, total, count = module.preset == 'paper', 0.0, 0
    for image, image_pairs in zip(grid, pairs.tolist(), strict=True):
        for a, b in image_pairs:
            (i, j), (p, q) = divmod(a, w), divmod(b, w)
            hidden = module.trunk(torch.cat((image[:, i, j], image[:, p, q])))
            outs = [layer(hidden) for layer in module.outputs]
            for axis, (delta, k) in enumerate(((i - p, h), (j - q, w))):
                delta = delta if module.signed else abs(delta)
                if module.mode == 'l1':
                    shift = k - 1 if module.signed and not paper else 0
                    target = delta / k if paper else delta + shift
                    total += abs(outs[0][axis] - target) / (1 if paper else 2)
                    continue
                values = list(range(-k, k + 1)) if paper else list(range(1 - k, k))
                values = values if module.signed else list(range(k))
                prob = outs[axis].softmax(0)
                if module.mode == 'ce':
                    total += -prob[values.index(delta)].log()
                    continue
                mean = sum(x * v for x, v in zip(prob, values, strict=True))
                var = sum(x * (v - mean) ** 2 for x, v in zip(prob, values, strict=True))
                total += (delta - mean) ** 2 / var + 0.002 * var.sqrt().log()
            count += 1
    return total / count


@pytest.mark.parametrize('settings', MODE_SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
@pytest.mark.parametrize('size', [(4, 4), (3, 5)])
def test_equals_the_slow_loop(settings, size):
    module = build(grid_size=size, **settings)
    grid = torch.randn(2, 8, *size)
    pairs = sample_pairs(12, *size, 2)
    expected = slow_loss(module, grid, pairs)
    torch.testing.assert_close(module.unweighted(grid, pairs), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module(grid, pairs), 0.5 * expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ('settings', 'params'),
    [
        (dict(), 657_410),
        (dict(preset='official'), 657_410),
        (dict(preset='official', mode='ce', grid_size=7), 926_222),
        (dict(preset='official', mode='reg', signed=True, grid_size=7), 932_378),
    ],
)
def test_parameter_counts(settings, params):
    # Spec 7, D = 384.
    assert sum(p.numel() for p in DRLocLoss(384, **settings).parameters()) == params


def test_class_outputs_follow_each_axis():
    for preset, signed, sizes in (
        ('paper', None, [7, 11]),
        ('official', True, [5, 9]),
        ('official', False, [3, 5]),
    ):
        module = build(preset=preset, mode='ce', signed=signed, grid_size=(3, 5))
        assert [layer.out_features for layer in module.outputs] == sizes


def test_defaults_are_those_of_the_paper():
    module = DRLocLoss(8)
    assert (module.preset, module.mode, module.signed) == ('paper', 'l1', False)
    assert (module.num_pairs, module.variance_weight, module.min_variance) == (64, 0.002, 1e-3)
    assert (module.loss_weight, module.exclude_identical) == (0.5, False)
    assert [m.out_features for m in module.trunk if hasattr(m, 'out_features')] == [512, 512]


@pytest.mark.parametrize('settings', MODE_SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_mlp_is_linear_and_relu_with_linear_outputs(settings):
    """Without activation before the outputs of the released class heads; no dropout, no norm."""
    module, hidden = build(grid_size=3, **settings), torch.randn(5, 16)
    expected = hidden
    linears = [layer for layer in module.trunk if isinstance(layer, nn.Linear)]
    bare = settings['preset'] == 'official' and settings['mode'] != 'l1'
    assert len(linears) == 2 + bare
    for i, layer in enumerate(linears):
        expected = expected @ layer.weight.T + layer.bias
        expected = expected if i == 2 else expected.clamp(min=0)
    torch.testing.assert_close(module.trunk(hidden), expected)
    assert {type(layer) for layer in module.outputs} == {nn.Linear}


def test_initial_weights_are_those_of_swin_and_t2t():
    module = DRLocLoss(64)
    module.init_weights()
    for layer in (m for m in module.modules() if isinstance(m, nn.Linear)):
        assert 0.017 < layer.weight.std().item() < 0.023
        assert not layer.bias.any()
    module = DRLocLoss(64, init_cfg=[])
    before = copy.deepcopy(module.state_dict())
    module.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(('width', 'millions'), [(384, 42.0), (768, 67.2), (2048, 151.1)])
def test_multiplications_for_an_image(width, millions):
    """64 (1024 D + 512² + 1024): each pair passes the MLP once, nothing else multiplies."""
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        DRLocLoss(width)(torch.empty(1, width, 7, 7))
    assert counter.get_total_flops() / 2 == 64 * (1024 * width + 512**2 + 1024)
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, abs=0.05)


def test_fixed_pairs_make_it_deterministic_and_drawn_ones_differ():
    module, grid = build(), torch.randn(2, 8, 5, 6)
    pairs = sample_pairs(12, 5, 6, 2)
    assert module(grid, pairs) == module(grid, pairs)
    assert module(grid) != module(grid)


def test_initial_weights_leave_the_global_stream_alone():
    """So the rest of the model starts from the same weights as without the loss."""
    before = torch.get_rng_state()
    module = build()
    module.init_weights()
    assert torch.equal(torch.get_rng_state(), before)
    parent = mmengine.model.Sequential(module)
    mmengine.model.initialize(parent, dict(type='TruncNormal', layer='Linear', std=0.02))
    assert torch.equal(torch.get_rng_state(), before)


def test_pairs_come_from_the_global_stream():
    """If the global seed is set before each step, it decides the pairs of the step."""
    module, grid = build(), torch.randn(2, 8, 5, 6)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(module(grid))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize('mode', ['l1', 'ce', 'reg'])
@pytest.mark.parametrize('exclude_identical', [False, True])
def test_compiles_without_a_graph_break(mode, exclude_identical):
    module = build(mode=mode, grid_size=(3, 4), exclude_identical=exclude_identical)
    grid = torch.randn(2, 8, 5, 6)
    compiled = torch.compile(module, backend='eager', fullgraph=True)
    values = []
    for loss in (module, compiled):
        torch.manual_seed(4)
        values.append(loss(grid))
    torch.testing.assert_close(*values)


def test_explicit_generator():
    module, grid = build(), torch.randn(2, 8, 5, 6)
    values = [module(grid, generator=torch.Generator().manual_seed(9)) for _ in range(2)]
    assert values[0] == values[1]


def test_can_be_copied_after_use():
    module, grid = build(), torch.randn(2, 8, 5, 6)
    module(grid)
    twin = copy.deepcopy(module)  # as the EMA hook does
    assert twin(grid).isfinite()


@pytest.mark.parametrize('mode', ['l1', 'ce', 'reg'])
def test_bf16_autocast_keeps_loss_and_gradients_in_fp32(mode):
    module = build(mode=mode, grid_size=(5, 6))
    grid = torch.randn(2, 8, 5, 6, requires_grad=True)
    pairs = sample_pairs(12, 5, 6, 2)
    exact = module.unweighted(grid, pairs)
    with torch.autocast('cpu', torch.bfloat16):
        loss = module.unweighted(grid, pairs)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=2e-2)
    loss.backward()
    assert grid.grad.dtype == torch.float32
    assert grid.grad.isfinite().all()


def test_large_grids_are_exact_under_autocast():
    # bf16 counts to 256 only: positions must never be built in it.
    pairs = torch.tensor([[[0, 299 * 2 + 1]]])
    module = build(preset='official')
    torch.nn.init.zeros_(module.outputs[0].weight)
    torch.nn.init.zeros_(module.outputs[0].bias)
    with torch.autocast('cpu', torch.bfloat16):
        loss = module.unweighted(torch.zeros(1, 8, 300, 2), pairs)
    assert loss == (299 + 1) / 2


@pytest.mark.parametrize('mode', ['l1', 'ce', 'reg'])
def test_works_in_deterministic_mode(mode):
    module = build(mode=mode, grid_size=(3, 4), pool=(3, 1, 1))
    grid = torch.randn(2, 8, 7, 8, requires_grad=True)
    torch.use_deterministic_algorithms(True)
    try:
        module(grid).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert grid.grad.abs().sum() > 0


@pytest.mark.parametrize('mode', ['l1', 'ce', 'reg'])
def test_stays_on_the_device_without_reading_a_value(mode):
    # Meta tensors have no values to read, and mix with no other device.
    module = build(mode=mode, grid_size=(3, 4), pool=2, exclude_identical=True)
    loss = module.to('meta')(torch.randn(2, 8, 8, 10, device='meta', requires_grad=True))
    loss.backward()
    assert loss.device.type == 'meta'


def test_gradient_reaches_the_tokens_of_the_pairs_only():
    grid = torch.randn(1, 8, 4, 5, requires_grad=True)
    build()(grid, torch.tensor([[[0, 7], [7, 19]]])).backward()
    touched = grid.grad.abs().sum(1).flatten().nonzero().flatten()
    assert touched.tolist() == [0, 7, 19]


@pytest.mark.parametrize('mode', ['l1', 'ce', 'reg'])
def test_empty_batch_keeps_the_graph(mode):
    module = build(mode=mode, grid_size=4, pool=2)
    loss = module(torch.randn(0, 8, 8, 8, requires_grad=True))
    assert loss == 0
    loss.backward()
    assert all(p.grad is not None for p in module.parameters())  # or DDP would wait


def test_thin_grids_warn_once_and_work():
    module = build()
    with pytest.warns(UserWarning, match='1x5 token grid has no offset to learn'):
        module(torch.randn(2, 8, 1, 5))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert module(torch.randn(2, 8, 1, 5)).isfinite()
    module = build(mode='ce', preset='official', grid_size=1)
    with pytest.warns(UserWarning, match='1x1'):
        assert module(torch.randn(2, 8, 3, 3)) == 0  # one class on both axes


@pytest.mark.parametrize(
    ('pool', 'full', 'pooled'),
    [(2, (14, 14), (7, 7)), ((3, 2, 1), (14, 14), (7, 7)), ((3, 2, 1), (5, 13), (3, 7))],
)
def test_kernel_pooling(pool, full, pooled):
    module = build(pool=pool)
    assert module._pooled(torch.randn(1, 8, *full)).shape[-2:] == pooled
    ones = module._pooled(torch.ones(1, 8, *full))
    assert torch.equal(ones, torch.ones_like(ones))  # padding is not counted


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(preset='mine'), r"preset \('mine'\) must be one of"),
        (dict(mode='l2'), r"mode \('l2'\) must be one of"),
        (dict(num_pairs=0), r'num_pairs \(0\) must be at least 1'),
        (dict(min_variance=0), r'min_variance \(0\) is a divisor and must be positive'),
        (dict(mode='ce'), "mode='ce' has one output per offset .* set grid_size"),
        (dict(mode='reg', grid_size=7, signed=False), "signed=False: the paper's 'reg' classes"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_refuses_wrong_shapes():
    module = build()
    with pytest.raises(
        ValueError, match=r'grid \(2, 49, 8\) must have shape .* in_channels \(8\)'
    ):
        module(torch.randn(2, 49, 8))
    with pytest.raises(ValueError, match=r'grid \(2, 9, 7, 7\) must have shape'):
        module(torch.randn(2, 9, 7, 7))
    with pytest.raises(ValueError, match=r'pairs \(3, 4, 2\) must have shape .* B=2'):
        module(torch.randn(2, 8, 7, 7), sample_pairs(4, 7, 7, 3))


def test_repr_tells_the_settings():
    text = repr(build(mode='ce', grid_size=(3, 5), num_pairs=9))
    assert 'mode=ce' in text
    assert 'num_pairs=9' in text
    assert 'grid_size=(3, 5)' in text


def test_survives_the_constant_init_of_a_parent():
    # VisionTransformerClsHead sets all its Linear layers to 0; an MLP inside must not follow.
    head = MODELS.build(dict(type='VisionTransformerClsHead', num_classes=2, in_channels=8))
    head.drloc = build()
    head.init_weights()
    assert head.layers.head.weight.abs().sum() == 0
    assert all(m.weight.std() > 0.01 for m in head.drloc.modules() if hasattr(m, 'in_features'))


def train(shuffle, steps=400, size=(5, 6), dim=32):
    """Train on tokens that encode their cell (unless shuffled); return the mean last losses."""
    # A cell paired with itself is recognised whatever its place: leave such pairs out.
    module = build(dim, hidden_dims=(128, 128), num_pairs=64, exclude_identical=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    cells = torch.randn(dim, size[0] * size[1])
    losses = []
    for _ in range(steps):
        order = [torch.randperm(cells.shape[1]) if shuffle else slice(None) for _ in range(16)]
        grid = torch.stack([cells[:, o] for o in order]).unflatten(2, size)
        loss = module.unweighted(grid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return sum(losses[-50:]) / 50


def constant_floor(h, w):
    """Return the loss of the best constant predictor: |Δ|/k summed over the axes."""
    pairs = torch.cartesian_prod(torch.arange(h * w), torch.arange(h * w))
    offsets = pair_offsets(pairs[pairs[:, 0] != pairs[:, 1]][None], w).abs().float()
    offsets /= torch.tensor([h, w])
    return (offsets - offsets.median(0).values).abs().sum(1).mean().item()


@pytest.mark.slow
def test_learns_ordered_tokens():
    assert train(shuffle=False) < 0.1 * constant_floor(5, 6)


@pytest.mark.slow
def test_cannot_learn_shuffled_tokens():
    assert train(shuffle=True) == pytest.approx(constant_floor(5, 6), rel=0.02)


@pytest.mark.parametrize(
    ('weight', 'grid', 'settings', 'expected'),
    [
        (0.5, (8, 8), {}, 2.0),
        (0.1, (8, 8), {}, 0.4),
        (0.5, (7, 7), {}, 1.75),
        (0.1, (14, 14), dict(grid_size=7), 0.35),
        (0.1, (14, 14), dict(pool=(3, 2, 1)), 0.35),
        (0.2, (3, 5), {}, 0.4),
    ],
)
def test_weight_in_cells_is_the_strength_that_the_authors_ran(weight, grid, settings, expected):
    module = build(loss_weight=weight, weight_in_cells=True, **settings)
    x, (h, w) = torch.randn(2, 8, *grid), module._pooled(torch.randn(1, 8, *grid)).shape[-2:]
    pairs = sample_pairs(12, h, w, 2)
    raw = module.unweighted(x, pairs)
    assert module.weight_on(x) == pytest.approx(expected)
    torch.testing.assert_close(module(x, pairs), expected * raw)
    plain = build(loss_weight=weight, **settings)
    plain.load_state_dict(module.state_dict())
    torch.testing.assert_close(plain(x, pairs), weight * raw)


@pytest.mark.parametrize('k', [4, 7, 8])
def test_weight_in_cells_equals_the_released_loss_of_the_same_guess(k):
    """A guess in sides of the grid against the same guess in cells."""
    paper = build(loss_weight=0.5, weight_in_cells=True)
    official = build(loss_weight=0.5, preset='official')
    official.load_state_dict(paper.state_dict())
    with torch.no_grad():
        for param in official.outputs.parameters():
            param *= k
    x, pairs = torch.randn(2, 8, k, k), sample_pairs(12, k, k, 2)
    torch.testing.assert_close(paper(x, pairs), official(x, pairs))


@pytest.mark.parametrize('settings', [dict(preset='official'), dict(mode='ce', grid_size=3)])
def test_weight_in_cells_is_refused_where_it_has_no_effect(settings):
    with pytest.raises(ValueError, match=r'weight_in_cells=True has no effect .*; leave it out'):
        build(weight_in_cells=True, **settings)
