"""The example for MMSegmentation: what of it can be checked without that package."""

from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS
from timm.models.vision_transformer import VisionTransformer

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'configs' / 'deit3' / 'mmseg' / 'upernet_deit3-base_ade20k-512x512.py'
ARCH = dict(embed_dims=32, num_layers=12, num_heads=2, feedforward_channels=64)


@pytest.fixture
def cfg():
    return Config.fromfile(FILE)


def test_header_says_with_what_and_whose_numbers():
    text = FILE.read_text()
    command = ' '.join(line.strip('# \\') for line in text.splitlines()[2:4])
    assert command == (
        'python -m torch.distributed.run --standalone --nproc_per_node 8 MMSEG/tools/train.py '
        f'{FILE.relative_to(ROOT)} --launcher pytorch'
    )
    assert all(words in text for words in ('Not trained by us', 'unsourced', 'recalled'))


def test_backbone_gives_the_four_maps_that_neck_and_heads_take(cfg):
    assert cfg.custom_imports['imports'] == ['vit_plugins']
    model = cfg.model
    with torch.device('meta'):
        backbone = MODELS.build(model.backbone).train()
        maps = backbone(torch.empty(2, 3, *cfg.crop_size))
    assert [tuple(m.shape) for m in maps] == [(2, model.neck.embed_dim, 32, 32)] * 4
    assert len(model.neck.rescales) == len(model.decode_head.in_channels) == 4
    assert set(model.decode_head.in_channels) == {model.neck.embed_dim}
    assert model.auxiliary_head.in_channels == model.neck.embed_dim
    assert max(model.decode_head.in_index) == 3


@pytest.mark.parametrize('size', [(64, 64), (64, 100), (37, 171)])
def test_maps_of_any_size_train_the_whole_backbone(cfg, size):
    settings = {**cfg.model.backbone, 'arch': ARCH, 'img_size': 64, 'init_cfg': None}
    backbone = MODELS.build(settings).train()
    maps = backbone(torch.randn(2, 3, *size))
    assert [tuple(m.shape) for m in maps] == [(2, 32, size[0] // 16, size[1] // 16)] * 4
    assert not torch.allclose(maps[0], maps[1])
    sum(m.square().sum() for m in maps).backward()
    assert all(param.grad is not None for param in backbone.parameters())


def test_official_weights_reach_the_backbone_by_its_init_cfg(cfg, tmp_path):
    """As in mmseg, where the backbone is a part of an EncoderDecoder."""
    settings = dict(img_size=32, embed_dim=32, depth=12, num_heads=2, mlp_ratio=2)
    timms = VisionTransformer(**settings, no_embed_class=True, init_values=1e-4)
    file = str(tmp_path / 'deit_3.pth')
    torch.save({'model': timms.state_dict()}, file)
    init_cfg = dict(type='Pretrained', checkpoint=file)
    settings = {**cfg.model.backbone, 'arch': ARCH, 'img_size': 64, 'init_cfg': init_cfg}
    backbone = MODELS.build(settings)
    backbone.init_weights()
    for ours, theirs in zip(backbone.layers, timms.blocks, strict=True):
        assert torch.equal(ours.attn.gamma1.weight, theirs.ls1.gamma)
        assert torch.equal(ours.ffn.layers[1].weight, theirs.mlp.fc2.weight)
    assert torch.equal(backbone.ln1.weight, timms.norm.weight)
    assert backbone.pos_embed.shape == (1, 16, 32)
