"""The converter: names, files with foreign objects, and files that would run code."""

import argparse
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmengine.utils import digit_version
from mmpretrain.registry import MODELS
from timm.models.convit import ConVit as TimmConViT
from timm.models.deit import VisionTransformerDistilled as TimmDistilled
from timm.models.vision_transformer import VisionTransformer as TimmViT
from tool_loading import load_tool

from vit_plugins.weights import converting as conversion

ROOT = Path(__file__).parents[2]
SETTINGS = dict(img_size=32, patch_size=8)
needs_listing = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.6'), reason='torch cannot list globals'
)


@pytest.fixture(scope='module')
def tool():
    return load_tool('convert_checkpoint')


@pytest.fixture
def timms() -> TimmConViT:
    model = TimmConViT(
        **SETTINGS, embed_dim=8, depth=3, num_heads=4, num_classes=10, local_up_to_layer=2
    )
    return model.eval()


def classifier(img_size=32):
    arch = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=128)
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone={
                **dict(type='ConViT', arch=arch, num_local_layers=2, **SETTINGS),
                'img_size': img_size,
            },
            head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=32),
        )
    ).eval()


def equal_outputs(model, timms) -> bool:
    images = torch.randn(1, 3, 32, 32)
    return torch.allclose(model(images), timms(images), atol=5e-6)


class Poison:
    """Runs a command when pickle loads it."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_converted_file_loads_strictly_and_holds_host_names(tmp_path, timms, tool, suffix, capsys):
    src, dst = tmp_path / f'official{suffix}', tmp_path / 'new' / 'converted.pth'
    if suffix == '.pth':
        torch.save(timms.state_dict(), src)
    else:
        from safetensors.torch import save_file

        save_file(timms.state_dict(), src)
    tool.main([str(src), str(dst)])
    number = len(timms.state_dict())
    assert capsys.readouterr().out.endswith(f'converted.pth: {number} tensors\n')
    model = classifier()
    content = torch.load(dst, weights_only=True)
    assert content['state_dict'].keys() == model.state_dict().keys()
    assert content['meta'] == {'converted_from': src.name}
    load_checkpoint(model, str(dst), strict=True)
    assert equal_outputs(model, timms)


def test_converted_file_knows_that_its_grid_is_a_square(tmp_path, timms):
    torch.save(timms.state_dict(), tmp_path / 'official.pth')
    conversion.convert_checkpoint(tmp_path / 'official.pth', tmp_path / 'converted.pth')
    direct, converted = classifier((16, 64)), classifier((16, 64))
    load_checkpoint(direct, str(tmp_path / 'official.pth'), strict=True)
    load_checkpoint(converted, str(tmp_path / 'converted.pth'), strict=True)
    assert not torch.equal(direct.backbone.pos_embed, timms.pos_embed)
    torch.testing.assert_close(converted.backbone.pos_embed, direct.backbone.pos_embed)


@pytest.fixture
def deit3() -> TimmViT:
    settings = dict(embed_dim=32, depth=2, num_heads=2, num_classes=10)
    return TimmViT(**SETTINGS, **settings, no_embed_class=True, init_values=0.5).eval()


def deit3_classifier(img_size=32):
    arch = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=128)
    backbone = dict(type='DeiT3ViT', arch=arch, patch_size=8, img_size=img_size)
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=32)
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head)).eval()


@pytest.mark.parametrize('gamma', ['ls{}.gamma', 'gamma_{}'])  # timm, facebookresearch/deit
def test_deit3_files(tmp_path, deit3, tool, gamma):
    src, dst = str(tmp_path / 'official.pth'), str(tmp_path / 'converted.pth')
    weights = deit3.state_dict()
    for i in (1, 2):
        new = gamma.format(i)
        weights = {key.replace(f'ls{i}.gamma', new): value for key, value in weights.items()}
    torch.save({'model': weights}, src)
    tool.main([src, dst, '--arch', 'deit3'])
    model = deit3_classifier()
    assert torch.load(dst, weights_only=True)['state_dict'].keys() == model.state_dict().keys()
    load_checkpoint(model, dst, strict=True)
    assert equal_outputs(model, deit3)
    direct, converted = deit3_classifier((16, 64)), deit3_classifier((16, 64))
    load_checkpoint(direct, src, strict=True)
    load_checkpoint(converted, dst, strict=True)
    torch.testing.assert_close(converted.backbone.pos_embed, direct.backbone.pos_embed)


@pytest.mark.parametrize('distilled', [False, True])
def test_deit_files(tmp_path, tool, distilled):
    kind = TimmDistilled if distilled else TimmViT
    timms = kind(**SETTINGS, embed_dim=32, depth=2, num_heads=2, num_classes=10).eval()
    src, dst = str(tmp_path / 'official.pth'), str(tmp_path / 'converted.pth')
    torch.save({'model': timms.state_dict()}, src)
    tool.main([src, dst, '--arch', 'deit'])
    arch = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=128)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='DistilledVisionTransformer' if distilled else 'VisionTransformer',
                arch=arch,
                **SETTINGS,
            ),
            head=dict(
                type='DeiTClsHead' if distilled else 'VisionTransformerClsHead',
                num_classes=10,
                in_channels=32,
            ),
        )
    ).eval()
    load_checkpoint(model, dst, strict=True)
    assert equal_outputs(model, timms)


@pytest.mark.parametrize(
    ('arch', 'other', 'message'),
    [
        ('convit', 'deit3', r'4 of \d+ keys .* of a ConViT: blocks\.0\.ls1\.gamma'),
        ('deit3', 'timms', r'10 of \d+ keys .* of a DeiT3ViT: blocks\.0\.attn\.gating_param'),
    ],
)
def test_weights_of_the_other_kind_are_refused(tmp_path, request, arch, other, message):
    torch.save(request.getfixturevalue(other).state_dict(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=message):
        conversion.convert_checkpoint(tmp_path / 'a.pth', tmp_path / 'b.pth', arch)


@pytest.mark.parametrize(
    ('lost', 'missing'),
    [
        ('blocks.1.attn.qk.weight', r'1 keys are missing for a ConViT: blocks\.1\.attn\.qk\.w'),
        ('blocks.0.attn.pos_proj.weight', '1 keys .*pos_proj'),
        ('blocks.2.attn.qkv.weight', r'5 keys .*: blocks\.2\.attn\.gating_param'),
        ('norm.weight', '1 keys .*: norm.weight'),
    ],
)
def test_blocks_of_two_kinds_are_whole_each(tmp_path, timms, lost, missing):
    weights = timms.state_dict()
    del weights[lost]
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=missing):
        conversion.convert_checkpoint(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert not (tmp_path / 'b.pth').exists()


def test_cvt_files(tmp_path, tool):
    """The official names are ours without ``backbone.``; the head is a LinearClsHead."""
    arch = dict(embed_dims=(8, 16, 24), num_heads=(1, 2, 3), depths=(1, 1, 1))
    head = dict(type='LinearClsHead', num_classes=10, in_channels=24)
    settings = dict(type='ImageClassifier', backbone=dict(type='CvT', arch=arch), head=head)
    origin, model = MODELS.build(settings), MODELS.build(settings)
    weights = {
        key.removeprefix('backbone.').replace('head.fc.', 'head.'): value
        for key, value in origin.state_dict().items()
    }
    src, dst = str(tmp_path / 'official.pth'), str(tmp_path / 'converted.pth')
    torch.save(weights, src)
    tool.main([src, dst, '--arch', 'cvt'])
    assert torch.load(dst, weights_only=True)['state_dict'].keys() == model.state_dict().keys()
    load_checkpoint(model, dst, strict=True)
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.eval()(images), origin.eval()(images))
    lost = {k: v for k, v in weights.items() if k != 'stage2.blocks.0.mlp.fc2.weight'}
    torch.save(lost, src)
    with pytest.raises(ValueError, match=r'missing for a CvT: stage2\.blocks\.0\.mlp\.fc2\.w'):
        conversion.convert_checkpoint(src, dst, 'cvt')
    torch.save({**weights, 'stage0.pos_embed': torch.zeros(1)}, src)
    with pytest.raises(ValueError, match=r'1 of \d+ keys are not those of a CvT: stage0.pos_em'):
        conversion.convert_checkpoint(src, dst, 'cvt')


@needs_listing
def test_training_checkpoint_with_foreign_objects(tmp_path, timms, tool, capsys):
    src, dst = str(tmp_path / 'training.pth'), str(tmp_path / 'converted.pth')
    settings = argparse.Namespace(lr=1e-3, data=Path('x'), nested=argparse.Namespace(a=1))
    state = {'model': timms.state_dict(), 'epoch': 3, 'args': settings}
    torch.save(state, src)
    model = classifier()
    with pytest.raises(pickle.UnpicklingError, match=r'python tools/convert_checkpoint\.py'):
        load_checkpoint(model, src, strict=True)
    tool.main([src, dst])
    load_checkpoint(model, dst, strict=True)
    assert equal_outputs(model, timms)
    assert argparse.Namespace not in torch.serialization.get_safe_globals()
    with pytest.raises(pickle.UnpicklingError):  # the allowance ended with the conversion
        load_checkpoint(model, src)


@needs_listing
def test_own_checkpoint_with_foreign_objects_keeps_its_names(tmp_path):
    model, src, dst = classifier(), tmp_path / 'epoch_1.pth', tmp_path / 'converted.pth'
    torch.save({'state_dict': model.state_dict(), 'mine': argparse.Namespace()}, src)
    conversion.convert_checkpoint(src, dst)
    assert torch.load(dst, weights_only=True)['state_dict'].keys() == model.state_dict().keys()


@needs_listing
@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_poison_does_not_run(tmp_path, timms, protocol):
    victim = tmp_path / 'victim'
    src, dst = tmp_path / 'poisoned.pth', tmp_path / 'converted.pth'
    command = f'open({str(victim)!r}, "w").close()'
    poison = [Poison(exec, command), Poison(subprocess.call, ['touch', str(victim)])]
    content = {'model': timms.state_dict(), 'args': poison}
    torch.save(content, src, pickle_protocol=protocol)
    try:
        conversion.convert_checkpoint(src, dst)
    except pickle.UnpicklingError:
        assert protocol == 4  # torch's reader knows protocol 2 only
    assert not victim.exists()
    assert dst.exists() == (protocol == 2)
    pickle.loads(pickle.dumps(poison))  # the poison is one
    assert victim.exists()


@needs_listing
def test_poison_from_a_blocked_module_is_refused(tmp_path, timms):
    victim, src = tmp_path / 'victim', tmp_path / 'poisoned.pth'
    torch.save({'model': timms.state_dict(), 'x': Poison(os.system, f'touch {victim}')}, src)
    with pytest.raises(pickle.UnpicklingError, match=r'poisoned\.pth holds more than weights'):
        conversion.convert_checkpoint(src, tmp_path / 'converted.pth')
    assert not victim.exists()


def test_old_torch_says_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.delattr(torch.serialization, 'get_unsafe_globals_in_checkpoint', raising=False)
    with pytest.raises(RuntimeError, match=r'needs torch >= 2\.6 \(this is'):
        conversion.load_inert(tmp_path / 'any.pth')


def test_unknown_keys_are_named_unless_names_are_kept(tmp_path, timms):
    src, dst = tmp_path / 'other.pth', tmp_path / 'converted.pth'
    weights = {**timms.state_dict(), 'blocks.0.surprise': torch.ones(1), 'extra': torch.ones(1)}
    torch.save(weights, src)
    with pytest.raises(
        ValueError, match=r'2 of \d+ keys .*: blocks\.0\.surprise, extra\. Use --arch'
    ):
        conversion.convert_checkpoint(src, dst)
    assert not dst.exists()
    conversion.convert_checkpoint(src, dst, 'keep')
    assert torch.load(dst, weights_only=True)['state_dict'].keys() == weights.keys()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'epoch': 3}, 'has no state dict .* found epoch'),
        ([1, 2], 'has no state dict .* found list'),
        ({}, 'has no state dict .* found dict'),
    ],
)
def test_a_file_without_weights(tmp_path, content, message):
    torch.save(content, tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match=message):
        conversion.convert_checkpoint(tmp_path / 'empty.pth', tmp_path / 'converted.pth')


def test_the_source_is_not_overwritten(tmp_path, timms):
    torch.save(timms.state_dict(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='would be overwritten'):
        conversion.convert_checkpoint(tmp_path / 'a.pth', tmp_path / '.' / 'a.pth')


def test_errors_end_the_tool_with_one_line(tmp_path, tool):
    with pytest.raises(SystemExit, match=r'FileNotFoundError: .*none\.pth'):
        tool.main([str(tmp_path / 'none.pth'), str(tmp_path / 'out.pth')])


@pytest.mark.slow
def test_tool_runs_as_a_program(tmp_path, timms):
    torch.save(timms.state_dict(), tmp_path / 'a.pth')
    file = ROOT / 'tools' / 'convert_checkpoint.py'
    command = [sys.executable, str(file), str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')]
    subprocess.run(command, check=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert (tmp_path / 'b.pth').exists()


def test_names_of_the_help_are_those_of_the_converter(tool):
    assert list(conversion.ARCHS) == tool.ARCH_NAMES
