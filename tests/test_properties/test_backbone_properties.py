"""Properties of every backbone and its parts, for any batch and any size."""

from functools import lru_cache

import pytest
import torch
from hypothesis import strategies as st
from mmpretrain.registry import MODELS
from properties import AUTOCAST, SEEDS, check_gradients, holds, over, precision, randn, repeats
from small_backbones import SETTINGS, WIDTHS, small

# Kernel, stride and padding of each embedding; those of the others round up to whole tokens of 8.
CONVOLVED = dict.fromkeys(('CvT', 'T2TViTPerformer'), ((7, 4, 2), (3, 2, 1), (3, 2, 1)))
# A norm of the small HybridViT has one channel a group: over a few pixels it magnifies rounding.
SMALLEST = {'HybridViT': 17}
BATCHES, SIDES = st.integers(0, 3), st.integers(1, 70)
# Parts that map images: their settings, pixels a cell, channels of the result.
STEMS = {
    'ResNetStem': (dict(blocks=(1, 1), channels=64), 8, 512),
    'ResidualConvStem': (dict(channels=(4, 6, 8)), 4, 8),
}
EMBEDS = {
    'ConvTokenizer': (dict(embed_dims=8, kernel_size=4, hidden_channels=4), 4, 8),
    'HybridPatchEmbed': (
        dict(stem=dict(type='ResidualConvStem', channels=(4, 6, 8)), embed_dims=8, kernel_size=8),
        8,
        8,
    ),
}


@lru_cache
def backbone(name, out_type):
    torch.manual_seed(0)
    return small(name, out_type=out_type)


def cells(side, cell):
    return -(-side // cell)


def tokens_along(name, side):
    if name == 'DeiT3ViT':  # counts whole patches only
        return side // 8
    if name not in CONVOLVED:
        return cells(side, 8)
    for kernel, stride, padding in CONVOLVED[name]:
        side = max(side + 2 * padding - kernel, -stride) // stride + 1
    return side


@over(SETTINGS)
def test_backbone(name, examples):
    def check(batch, h, w, out_type, dtype, seed):
        model, images = backbone(name, out_type).eval(), randn(seed, batch, 3, h, w)
        grid = tuple(tokens_along(name, side) for side in (h, w))
        if 0 in grid:
            with pytest.raises(ValueError, match='has no whole patch'):
                model(images)
            return
        width, tokens = WIDTHS.get(name, 32), grid[0] * grid[1] + model.num_extra_tokens
        shapes = dict(featmap=(batch, width, *grid), raw=(batch, tokens, width))
        with torch.no_grad(), precision(dtype):
            (out,) = model(images)
            assert out.shape == shapes.get(out_type, (batch, width))
            assert out.isfinite().all()
            assert out.dtype in (torch.float32, dtype)
            if dtype is None:
                again = repeats(lambda: model(images)[0], examples)
                alone = [model(image[None])[0] for image in images]
                for row, other in zip(again, alone, strict=True):  # whatever else is in the batch
                    torch.testing.assert_close(row[None], other, rtol=1e-4, atol=1e-4)

    sides = st.integers(SMALLEST.get(name, 1), 70)
    holds(
        check,
        examples,
        batch=BATCHES,
        h=sides,
        w=sides,
        out_type=st.sampled_from(['cls_token', 'raw', 'featmap', 'avg_featmap']),
        dtype=AUTOCAST,
        seed=SEEDS,
    )


@over(SETTINGS)
def test_backbone_gradients(name, examples):
    def check(batch, h, w, scale, seed):
        model = backbone(name, 'raw').train()
        images = (randn(seed, batch, 3, h, w) * scale).requires_grad_()
        check_gradients(model(images)[0].square().sum(), images, module=model)

    # two images: the batch norm of CvT needs more than one value a channel
    sides = st.integers(17, 40)
    scales = st.sampled_from([0.0, 1e-6, 1.0, 1e3])
    holds(check, examples, batch=st.integers(2, 3), h=sides, w=sides, scale=scales, seed=SEEDS)


@lru_cache
def part(name):
    torch.manual_seed(0)
    return MODELS.build(dict(type=name, **{**STEMS, **EMBEDS}[name][0])).eval()


@over({**STEMS, **EMBEDS})
def test_part(name, examples):
    _, cell, width = {**STEMS, **EMBEDS}[name]

    def check(batch, h, w, seed):
        images = randn(seed, batch, 3, h, w).requires_grad_()
        grid = (cells(h, cell), cells(w, cell))
        out = part(name)(images)
        if name in EMBEDS:
            out, found = out
            assert tuple(found) == grid
            assert out.shape == (batch, grid[0] * grid[1], width)
        else:
            assert out.shape == (batch, width, *grid)
        check_gradients(out.square().sum(), images, module=part(name))
        repeats(lambda: part(name)(images)[0].detach(), examples)

    holds(check, examples, batch=st.integers(1, 3), h=SIDES, w=SIDES, seed=SEEDS)


@lru_cache
def gpsa(heads, mode):
    torch.manual_seed(0)
    return MODELS.build(dict(type='GPSA', embed_dims=4 * heads, num_heads=heads, mode=mode))


@over({'GPSA': None})
@pytest.mark.filterwarnings('ignore:GPSA with')
def test_attention(name, examples):
    def check(batch, h, w, heads, mode, dtype, seed):
        layer = gpsa(heads, mode).eval()
        x = randn(seed, batch, h * w, 4 * heads).requires_grad_()
        with precision(dtype):
            out = layer(x, (h, w))
            attention = layer.get_attention_map(x, (h, w))
        assert out.shape == x.shape
        assert attention.shape == (batch, heads, h * w, h * w)
        torch.testing.assert_close(
            attention.float().sum(-1),
            torch.ones(batch, heads, h * w),
            atol=1e-5 if dtype is None else 3e-2,
            rtol=0,
        )
        check_gradients(out.float().square().sum(), x, module=layer)
        if dtype is None:
            repeats(lambda: layer(x, (h, w)).detach(), examples)

    holds(
        check,
        examples,
        batch=BATCHES,
        h=st.integers(1, 6),
        w=st.integers(1, 6),
        heads=st.integers(1, 10),
        mode=st.sampled_from(['gpsa', 'psa']),
        dtype=AUTOCAST,
        seed=SEEDS,
    )


@lru_cache
def retriever(mode):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='EmbeddingRetriever',
            backbone=dict(type='DeiT3ViT', out_type='raw', **SETTINGS['DeiT3ViT']),
            neck=dict(type='TokenPooling', mode=mode),
        )
    ).eval()


@over({'EmbeddingRetriever': None})
def test_retriever(name, examples):
    def check(batch, h, w, mode, scale, dtype, seed):
        images = randn(seed, batch, 3, h, w) * scale
        with torch.no_grad(), precision(dtype):
            out = retriever(mode)(images)
        assert out.shape == (batch, 32)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out.norm(dim=1), torch.ones(batch))

    holds(
        check,
        examples,
        batch=BATCHES,
        h=st.integers(8, 40),
        w=st.integers(8, 40),
        mode=st.sampled_from(['cls', 'avg', 'max', 'gem']),
        scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3]),
        dtype=AUTOCAST,
        seed=SEEDS,
    )


@over({'StackedDataPreprocessor': None})
def test_preprocessor(name, examples):
    def check(batch, h, w, divisor, seed):
        preprocessor = MODELS.build(
            dict(type=name, mean=[9.0] * 3, std=[2.0] * 3, pad_size_divisor=divisor)
        )
        images = randn(seed, batch, 3, h, w).mul(60).clamp(0, 255).byte()
        out = preprocessor(dict(inputs=images), training=True)['inputs']
        assert out.shape == (batch, 3, *(cells(side, divisor) * divisor for side in (h, w)))
        torch.testing.assert_close(out[..., :h, :w], (images.float() - 9) / 2)

    divisors = st.integers(1, 9)
    holds(check, examples, batch=st.integers(1, 3), h=SIDES, w=SIDES, divisor=divisors, seed=SEEDS)
