"""Google's .npz files, synthetic ones of the real names and shapes, against timm's reader."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from small_backbones import HYBRID_ARCH, SETTINGS, timm_hybrid
from timm.models.vision_transformer import VisionTransformer as TimmViT
from timm.models.vision_transformer import _load_weights

from vit_plugins.config_edits.pretrained import apply_pretrained
from vit_plugins.weights import converting as conversion
from vit_plugins.weights.names.google import from_google, load_google, timm_name

WIDTH, HEADS, LAYERS, GRID = 32, 4, 3, 4


def vit_arrays(pre_logits: bool = False, hybrid: bool = False) -> dict[str, np.ndarray]:
    """Return arrays with the names and orders of google-research/vision_transformer."""
    rng = np.random.default_rng(0)
    shapes = {
        'cls': (1, 1, WIDTH),
        'Transformer/posembed_input/pos_embedding': (1, 1 + GRID**2, WIDTH),
        'embedding/kernel': (1, 1, 256, WIDTH) if hybrid else (8, 8, 3, WIDTH),
        'embedding/bias': (WIDTH,),
        'Transformer/encoder_norm/scale': (WIDTH,),
        'Transformer/encoder_norm/bias': (WIDTH,),
        'head/kernel': (WIDTH, 10),
        'head/bias': (10,),
    }
    if pre_logits:
        shapes |= {'pre_logits/kernel': (WIDTH, WIDTH), 'pre_logits/bias': (WIDTH,)}
    for i in range(LAYERS):
        layer = f'Transformer/encoderblock_{i}/'
        attention = f'{layer}MultiHeadDotProductAttention_1/'
        for part in ('query', 'key', 'value'):
            shapes[f'{attention}{part}/kernel'] = (WIDTH, HEADS, WIDTH // HEADS)
            shapes[f'{attention}{part}/bias'] = (HEADS, WIDTH // HEADS)
        shapes[f'{attention}out/kernel'] = (HEADS, WIDTH // HEADS, WIDTH)
        shapes[f'{attention}out/bias'] = (WIDTH,)
        for norm in ('LayerNorm_0', 'LayerNorm_2'):
            shapes |= {f'{layer}{norm}/scale': (WIDTH,), f'{layer}{norm}/bias': (WIDTH,)}
        for dense, (rows, columns) in enumerate(((WIDTH, 128), (128, WIDTH))):
            shapes[f'{layer}MlpBlock_3/Dense_{dense}/kernel'] = (rows, columns)
            shapes[f'{layer}MlpBlock_3/Dense_{dense}/bias'] = (columns,)
    if hybrid:
        shapes |= resnet_shapes()
    return {key: rng.normal(0, 0.2, size).astype('float32') for key, size in shapes.items()}


def resnet_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of a ResNet of blocks (1, 2) with 32 channels at its root."""
    shapes = {'conv_root/kernel': (7, 7, 3, 32)}
    norms = {'gn_root': 32}
    for stage, unit, comes, inside in ((1, 1, 32, 32), (2, 1, 128, 64), (2, 2, 256, 64)):
        block = f'block{stage}/unit{unit}/'
        shapes[f'{block}conv1/kernel'] = (1, 1, comes, inside)
        shapes[f'{block}conv2/kernel'] = (3, 3, inside, inside)
        shapes[f'{block}conv3/kernel'] = (1, 1, inside, 4 * inside)
        norms |= {f'{block}gn1': inside, f'{block}gn2': inside, f'{block}gn3': 4 * inside}
        if unit == 1:
            shapes[f'{block}conv_proj/kernel'] = (1, 1, comes, 4 * inside)
            norms[f'{block}gn_proj'] = 4 * inside
    for name, channels in norms.items():  # four axes: from before flax issue 1721
        shapes |= {f'{name}/scale': (1, 1, 1, channels), f'{name}/bias': (1, 1, 1, channels)}
    return shapes


def plain_timm(**kwargs) -> TimmViT:
    settings = dict(img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=4, num_classes=10)
    return TimmViT(**settings | kwargs).eval()


def classifier(hybrid: bool = False, img_size: int = 32, num_classes: int = 10, **head):
    backbone = dict(type='VisionTransformer', arch=HYBRID_ARCH, patch_size=8)
    if hybrid:
        backbone = dict(type='HybridViT', **SETTINGS['HybridViT'])
    head |= dict(type='VisionTransformerClsHead', num_classes=num_classes, in_channels=32)
    backbone['img_size'] = img_size
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head)).eval()


def converted(tmp_path, arrays, arch) -> str:
    np.savez(tmp_path / 'google.npz', **arrays)
    out = tmp_path / 'converted.pth'
    conversion.convert_checkpoint(tmp_path / 'google.npz', out, arch)
    return str(out)


@pytest.mark.parametrize('wrap', ['', 'opt/target/', 'params/'])
@pytest.mark.parametrize('hybrid', [False, True])
def test_converted_files_equal_what_timm_reads(tmp_path, hybrid, wrap):
    arrays = vit_arrays(hybrid=hybrid)
    wrapped = {wrap + key: value for key, value in arrays.items()}
    if wrap == 'opt/target/':
        wrapped |= {'opt/state/step': np.array(3), 'opt/state/cls/momentum': arrays['cls']}
    file = converted(tmp_path, wrapped, 'hybrid-vit' if hybrid else 'vit')
    timms, ours = timm_hybrid() if hybrid else plain_timm(), classifier(hybrid)
    np.savez(tmp_path / 'plain.npz', **arrays)  # timm reads "params/" as another layout
    with torch.no_grad():
        _load_weights(timms, str(tmp_path / 'plain.npz'))
    load_checkpoint(ours, file, strict=True)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), timms(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('hybrid', [False, True])
def test_converted_files_change_resolution(tmp_path, hybrid):
    arrays = vit_arrays(hybrid=hybrid)
    file = converted(tmp_path, arrays, 'hybrid-vit' if hybrid else 'vit')
    larger = classifier(hybrid, img_size=64)
    load_checkpoint(larger, file, strict=True)
    given = torch.from_numpy(arrays['Transformer/posembed_input/pos_embedding'])
    embed = larger.backbone.pos_embed
    assert torch.equal(embed[:, :1], given[:, :1])
    expected = torch.nn.functional.interpolate(
        given[:, 1:].transpose(1, 2).unflatten(2, (4, 4)), (8, 8), mode='bicubic'
    )
    torch.testing.assert_close(embed[:, 1:], expected.flatten(2).transpose(1, 2))


@pytest.mark.parametrize('hybrid', [False, True])
def test_hidden_layer_of_the_pre_training_head(tmp_path, hybrid):
    arrays = vit_arrays(pre_logits=True, hybrid=hybrid)
    file = converted(tmp_path, arrays, 'hybrid-vit' if hybrid else 'vit')
    whole = classifier(hybrid, hidden_dim=32)
    load_checkpoint(whole, file, strict=True)
    hidden = whole.head.layers.pre_logits
    assert torch.equal(hidden.weight, torch.from_numpy(arrays['pre_logits/kernel'].T))
    features = torch.randn(2, 32)
    expected = np.tanh(features.numpy() @ arrays['pre_logits/kernel'] + arrays['pre_logits/bias'])
    expected = expected @ arrays['head/kernel'] + arrays['head/bias']
    torch.testing.assert_close(whole.head((features,)), torch.from_numpy(expected))


@pytest.mark.parametrize('hybrid', [False, True])
def test_fine_tuning_starts_with_a_head_of_zeros(tmp_path, hybrid):
    """The whole head is removed: the pre-trained backbone has one zero matrix."""
    arrays = vit_arrays(pre_logits=True, hybrid=hybrid)
    file = converted(tmp_path, arrays, 'hybrid-vit' if hybrid else 'vit')
    model = classifier(hybrid, num_classes=7)
    model.init_weights()
    load_checkpoint(model, file)
    assert torch.equal(model.backbone.cls_token, torch.from_numpy(arrays['cls']))
    assert not model.head.layers.head.weight.any()
    assert not model.head.layers.head.bias.any()
    assert not model(torch.randn(1, 3, 32, 32)).any()


def test_other_layouts_are_refused(tmp_path):
    arrays = {**vit_arrays(), 'MAPHead_0/probe': np.zeros((1, 1, 4), 'float32')}
    with pytest.raises(ValueError, match=r'1 of \d+ arrays are not those .*: MAPHead_0/probe'):
        from_google(arrays)
    with pytest.raises(ValueError, match=r'cls is of type \|V2, which is no float'):
        from_google({'cls': np.zeros(4, 'V2')})
    part = 'Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel'
    with pytest.raises(ValueError, match=r'attn\.query\.weight is there without .*attn\.key'):
        from_google({part: np.zeros((4, 2, 2), 'float32')})
    np.savez(tmp_path / 'b.npz', **vit_arrays(hybrid=True))
    with pytest.raises(ValueError, match='Use --arch keep'):  # a hybrid is no plain ViT
        conversion.convert_checkpoint(tmp_path / 'b.npz', tmp_path / 'c.pth', 'vit')


@pytest.mark.parametrize(
    ('lost', 'named'),
    [
        ('Transformer/encoderblock_1/MlpBlock_3/Dense_0/kernel', 'blocks.1.mlp.fc1.weight'),
        ('Transformer/encoderblock_2/LayerNorm_2/bias', 'blocks.2.norm2.bias'),
        ('embedding/kernel', 'patch_embed.proj.weight'),
        ('head/kernel', 'head.weight'),
        ('conv_root/kernel', 'patch_embed.backbone.stem.conv.weight'),
        ('block2/unit2/conv3/kernel', 'patch_embed.backbone.stages.1.blocks.1.conv3.weight'),
        (
            'block2/unit1/conv_proj/kernel',
            'patch_embed.backbone.stages.1.blocks.0.downsample.conv.weight',
        ),
    ],
)
def test_files_that_lack_an_array_are_refused(tmp_path, lost, named):
    arrays = vit_arrays(hybrid=True)
    del arrays[lost]
    with pytest.raises(ValueError, match=rf'1 keys are missing for a HybridViT: {named}\. The'):
        converted(tmp_path, arrays, 'hybrid-vit')


def test_whole_block_that_is_lacking(tmp_path):
    arrays = {k: v for k, v in vit_arrays().items() if 'encoderblock_1/' not in k}
    with pytest.raises(ValueError, match=r'12 keys are missing .* blocks\.1\.attn\.proj\.bias'):
        converted(tmp_path, arrays, 'vit')


@pytest.mark.parametrize('arch', ['convit', 'deit3'])
def test_files_need_their_arch(tmp_path, arch):
    with pytest.raises(ValueError, match=rf'google\.npz: .* need --arch vit, .*got {arch}'):
        converted(tmp_path, vit_arrays(), arch)


def test_plain_vit_is_no_hybrid(tmp_path):
    with pytest.raises(ValueError, match=r'HybridViT: patch_embed\.backbone\.stem\.conv\.weight'):
        converted(tmp_path, vit_arrays(), 'hybrid-vit')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 cut short', b'no archive'])
def test_damaged_files(tmp_path, content):
    (tmp_path / 'a.npz').write_bytes(content)
    with pytest.raises(RuntimeError, match=r'a\.npz is no whole file of arrays'):
        load_google(tmp_path / 'a.npz')
    with pytest.raises(FileNotFoundError, match=r'none\.npz'):
        load_google(tmp_path / 'none.npz')


def test_objects_in_a_file_are_not_read(tmp_path):
    np.savez(tmp_path / 'a.npz', cls=np.array([{}], dtype=object))
    with pytest.raises(RuntimeError, match=r'a\.npz is .*: it holds objects'):
        load_google(tmp_path / 'a.npz')
    np.savez(tmp_path / 'b.npz', cls=np.array(['text']))
    with pytest.raises(ValueError, match=r'b\.npz: cls is of type <U4, which is no float'):
        load_google(tmp_path / 'b.npz')


def test_names_that_are_none():
    assert timm_name('block1/unit1/conv1/scale/more') is None
    assert timm_name('Transformer/encoderblock_0/LayerNorm_1/scale') is None


@pytest.mark.parametrize('hybrid', [False, True])
def test_pretrained_takes_them_as_they_are(tmp_path, hybrid):
    np.savez(tmp_path / 'google.npz', **vit_arrays(hybrid=hybrid))
    backbone = dict(type='VisionTransformer', arch=HYBRID_ARCH, patch_size=8, img_size=32)
    if hybrid:
        backbone = dict(type='HybridViT', **SETTINGS['HybridViT'])
    head = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=32)
    model = dict(type='ImageClassifier', backbone=backbone, head=head)
    cfg = Config(dict(model=model, optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1))))
    cfg = apply_pretrained(cfg, str(tmp_path / 'google.npz'))
    started = MODELS.build(cfg.model)
    started.init_weights()
    expected = classifier(hybrid)
    file = converted(tmp_path, vit_arrays(hybrid=hybrid), 'hybrid-vit' if hybrid else 'vit')
    load_checkpoint(expected, file, strict=True)
    for name, value in expected.backbone.state_dict().items():
        assert torch.equal(started.backbone.state_dict()[name], value)
