import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS

from vit_plugins.conversion import convert_checkpoint
from vit_plugins.models.backbones.t2t_vit_performer import T2TViTPerformer
from vit_plugins.models.layers.token_performer import TokenPerformer

SMALL = dict(
    img_size=32,
    embed_dims=16,
    num_layers=2,
    token_dims=8,
    layer_cfgs=dict(num_heads=2, feedforward_channels=32),
)


def test_parameters_are_those_of_the_official_model():
    """21,545,550 with 79,744 that are not trained: 2 x 2,048 directions, 197 x 384 positions."""
    head = dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384)
    with torch.device('meta'):
        model = MODELS.build(
            dict(type='ImageClassifier', backbone=dict(type='T2TViTPerformer'), head=head)
        )
    assert sum(param.numel() for param in model.parameters()) == 21_545_550 - 79_744
    assert sum(buffer.numel() for buffer in model.buffers()) == 79_744


@pytest.mark.parametrize('with_cls_token', [True, False])
@pytest.mark.parametrize('size', [(32, 32), (48, 64)])
def test_runs_and_trains_with_and_without_class_token(with_cls_token, size):
    out_type = 'cls_token' if with_cls_token else 'featmap'
    model = T2TViTPerformer(**SMALL, with_cls_token=with_cls_token, out_type=out_type)
    model.init_weights()
    (out,) = model(torch.randn(2, 3, *size))
    assert out.shape == ((2, 16) if with_cls_token else (2, 16, size[0] // 16, size[1] // 16))
    out.square().sum().backward()
    assert all(param.grad is not None for param in model.parameters())


def test_tokens_are_made_by_performers():
    module = T2TViTPerformer(**SMALL).tokens_to_token
    assert isinstance(module.attention1, TokenPerformer)
    assert isinstance(module.attention2, TokenPerformer)


def test_train_and_eval_can_be_chained():
    assert T2TViTPerformer(**SMALL).eval().training is False


def test_out_indices():
    model = T2TViTPerformer(**SMALL, out_type='featmap', out_indices=(0, -1))
    assert len(model(torch.randn(1, 3, 32, 32))) == 2
    with pytest.raises(ValueError, match=r'out_indices \[2\] must name layers between -2 and 1'):
        T2TViTPerformer(**SMALL, out_indices=2)


def test_layers_after_the_last_output_are_frozen():
    model = T2TViTPerformer(**SMALL, out_indices=0)
    model(torch.randn(1, 3, 32, 32))[0].sum().backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.named_parameters() if p.grad is not None}
    assert 'encoder.0.ln2.weight' in trained
    assert trained.isdisjoint(('encoder.1.ln2.weight', 'norm.weight'))
    whole = T2TViTPerformer(**SMALL, out_indices=(0, -1))
    assert all(param.requires_grad for param in whole.parameters())


def test_size_of_a_square():
    model = T2TViTPerformer(**{**SMALL, 'img_size': (32, 32)})
    assert model.pos_embed.shape == (1, 5, 16)
    with pytest.raises(ValueError, match=r'img_size \(32, 64\) must be a square: give one number'):
        T2TViTPerformer(**{**SMALL, 'img_size': (32, 64)})


def test_refuses_the_hosts_settings():
    with pytest.raises(ValueError, match='t2t_cfg is not taken'):
        T2TViTPerformer(t2t_cfg=dict(use_performer=True))


def official_weights(depth=2, width=16, token=8, classes=10):
    """Names and shapes as in T2T_ViT, Token_performer and Block of the authors' repository."""
    linear = {
        'tokens_to_token.project': (width, 9 * token),
        'head': (classes, width),
        **{f'blocks.{i}.attn.proj': (width, width) for i in range(depth)},
        **{f'blocks.{i}.mlp.fc1': (2 * width, width) for i in range(depth)},
        **{f'blocks.{i}.mlp.fc2': (width, 2 * width) for i in range(depth)},
    }
    shapes = {'cls_token': (1, 1, width), 'pos_embed': (1, 5, width), 'norm.weight': (width,)}
    shapes['norm.bias'] = (width,)
    for i in range(depth):
        shapes[f'blocks.{i}.attn.qkv.weight'] = (3 * width, width)
        for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias'):
            shapes[f'blocks.{i}.{name}'] = (width,)
    for name, width_in in (('attention1', 147), ('attention2', 9 * token)):
        module = f'tokens_to_token.{name}'
        shapes[f'{module}.w'] = (token // 2, token)
        linear[f'{module}.kqv'] = (3 * token, width_in)
        linear |= {f'{module}.{part}': (token, token) for part in ('proj', 'mlp.0', 'mlp.2')}
        for norm, size in (('norm1', width_in), ('norm2', token)):
            shapes |= {f'{module}.{norm}.weight': (size,), f'{module}.{norm}.bias': (size,)}
    for name, (d_out, d_in) in linear.items():
        shapes |= {f'{name}.weight': (d_out, d_in), f'{name}.bias': (d_out,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def test_official_files_convert_and_load_strictly(tmp_path):
    average, last = official_weights(), official_weights()
    src, dst = str(tmp_path / 'official.pth.tar'), str(tmp_path / 'converted.pth')
    torch.save({'state_dict': last, 'state_dict_ema': average, 'epoch': 300}, src)
    assert convert_checkpoint(src, dst, 't2t') == len(average)
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=16)
    backbone = dict(type='T2TViTPerformer', **SMALL)
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    load_checkpoint(model, dst, strict=True)
    weights = model.state_dict()
    for theirs, ours in (
        ('tokens_to_token.attention2.w', 'backbone.tokens_to_token.attention2.directions'),
        ('tokens_to_token.attention1.norm2.bias', 'backbone.tokens_to_token.attention1.ln2.bias'),
        ('blocks.1.norm2.weight', 'backbone.encoder.1.ln2.weight'),
        ('blocks.1.mlp.fc2.bias', 'backbone.encoder.1.ffn.layers.1.bias'),
        ('norm.bias', 'backbone.norm.bias'),
        ('head.weight', 'head.layers.head.weight'),
    ):
        assert torch.equal(weights[ours], average[theirs]), ours
    assert len(weights) == len(average)


def test_weights_of_the_other_form_of_its_module_are_refused(tmp_path):
    """T2T-ViT_t has full attention there: qkv in place of kqv, and no directions."""
    weights = official_weights()
    key = 'tokens_to_token.attention1.kqv.weight'
    weights[key.replace('kqv', 'qkv')] = weights.pop(key)
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(
        ValueError, match=r'1 of \d+ keys .* T2TViTPerformer: tokens_to_token\.att'
    ):
        convert_checkpoint(tmp_path / 'a.pth', tmp_path / 'b.pth', 't2t')
