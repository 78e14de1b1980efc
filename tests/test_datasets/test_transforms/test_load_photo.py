import struct
from io import BytesIO

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer, get_model
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from vit_plugins.datasets.photo_file import PhotoFileError

PIXELS = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)


@pytest.mark.parametrize('settings', [{}, {'to_float32': True}, {'color_type': 'grayscale'}])
def test_as_the_host_loads(tmp_path, settings):
    Image.fromarray(PIXELS).save(tmp_path / 'x.png')
    ours, host = (
        TRANSFORMS.build({'type': kind, **settings})({'img_path': str(tmp_path / 'x.png')})
        for kind in ('LoadPhoto', 'LoadImageFromFile')
    )
    assert ours.keys() == host.keys()
    np.testing.assert_array_equal(ours['img'], host['img'])
    assert ours['img'].dtype == host['img'].dtype
    assert (ours['img_shape'], ours['ori_shape']) == ((9, 7), (9, 7))


def test_pixels_that_are_there_stay():
    for path in ({}, {'img_path': ''}):
        results = {'img': PIXELS, 'img_shape': (9, 7), **path}
        assert TRANSFORMS.build({'type': 'LoadPhoto'})(results) is results


def test_the_hosts_inferencer_takes_a_model_of_photos(tmp_path):
    arch = dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8)
    backbone = dict(type='VisionTransformer', img_size=16, patch_size=8, arch=arch)
    head = dict(type='VisionTransformerClsHead', num_classes=2, in_channels=8)
    pipeline = [dict(type='LoadPhoto'), dict(type='Resize', scale=16), dict(type='PackInputs')]
    cfg = dict(
        model=dict(type='ImageClassifier', backbone=backbone, head=head),
        data_preprocessor=dict(mean=[127] * 3, std=[60] * 3, to_rgb=True),
        test_dataloader=dict(dataset=dict(type='ImageFolder', pipeline=pipeline)),
    )
    model = get_model(Config(cfg), device='cpu')
    Image.fromarray(PIXELS).save(tmp_path / 'x.png')
    (answer,) = ImageClassificationInferencer(model)(str(tmp_path / 'x.png'))
    assert answer['pred_scores'].sum() == pytest.approx(1)


def test_what_cannot_be_loaded(tmp_path, capsys):
    (tmp_path / 'x.png').write_text('text')
    load = TRANSFORMS.build({'type': 'LoadPhoto'})
    with pytest.raises(ValueError, match=r'x.png cannot be loaded: it is damaged, or no picture'):
        load({'img_path': str(tmp_path / 'x.png')})
    with pytest.raises(PhotoFileError, match=r'none\.png cannot be read: No such file'):
        load({'img_path': str(tmp_path / 'none.png')})
    lenient = TRANSFORMS.build({'type': 'LoadPhoto', 'ignore_empty': True})
    for _ in range(2):  # datasets of the host take another image in its place
        assert lenient({'img_path': str(tmp_path / 'x.png')}) is None
    told = ''.join(capsys.readouterr())
    assert told.count('x.png cannot be loaded: it is damaged') == 1
    assert 'ignore_empty leaves it out' in told


def transparent(kind):
    rng, file = np.random.default_rng(0), BytesIO()
    image = Image.fromarray(rng.integers(0, 255, (20, 30, 4), np.uint8))
    if kind == 'GIF':
        image.convert('RGB').quantize(16).save(file, kind, transparency=0)
    else:
        image.save(file, kind)
    return file.getvalue()


def require_named(path):
    load = TRANSFORMS.build({'type': 'LoadPhoto'})
    with pytest.raises(ValueError, match=r'x\.png cannot be loaded: it is damaged: \S'):
        load({'img_path': str(path)})
    lenient = TRANSFORMS.build({'type': 'LoadPhoto', 'ignore_empty': True})
    assert lenient({'img_path': str(path)}) is None


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'GIF'])
def test_a_truncated_transparent_image_is_named(tmp_path, kind):
    data = transparent(kind)
    (tmp_path / 'x.png').write_bytes(data[: len(data) * 3 // 4])
    require_named(tmp_path / 'x.png')


@pytest.mark.parametrize('error', [OSError, SyntaxError, ValueError, TypeError, struct.error])
@pytest.mark.parametrize('method', ['convert', 'getexif'])
def test_whatever_pillow_raises_the_image_is_named(tmp_path, monkeypatch, method, error):
    (tmp_path / 'x.png').write_bytes(transparent('PNG'))

    def fail(*_, **__):
        raise error('chunk')

    monkeypatch.setattr(Image.Image, method, fail)
    require_named(tmp_path / 'x.png')


def test_colour_type_and_repr():
    with pytest.raises(ValueError, match=r"color_type must be one of .*, got 'unchanged'"):
        TRANSFORMS.build({'type': 'LoadPhoto', 'color_type': 'unchanged'})
    expected = "LoadPhoto(to_float32=False, color_type='color', ignore_empty=False, "
    assert repr(TRANSFORMS.build({'type': 'LoadPhoto'})) == (
        expected + 'backend_args=None, max_pixels=1.6e+08, max_aspect=100, least_side=None)'
    )


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
@pytest.mark.parametrize(
    ('side', 'shape'), [(151, (600, 800)), (150, (300, 400)), (70, (150, 200))]
)
def test_least_side_saves_decoding_within_a_tolerance(
    tmp_path, natural, apart, color_type, side, shape
):
    Image.fromarray(natural(600, 800)).save(tmp_path / 'x.jpg', quality=92)
    load = TRANSFORMS.build(
        {'type': 'LoadPhoto', 'least_side': 2 * side, 'color_type': color_type}
    )
    whole = TRANSFORMS.build({'type': 'LoadPhoto', 'color_type': color_type})
    found, expected = (f({'img_path': str(tmp_path / 'x.jpg')}) for f in (load, whole))
    assert found['img_shape'] == shape
    small = [
        np.asarray(Image.fromarray(r['img']).resize((100, 75), Image.Resampling.BICUBIC))
        for r in (found, expected)
    ]
    largest, mean = apart(*small)
    assert largest <= 6
    assert mean <= 1.0


@pytest.mark.parametrize('least_side', [0, 1.5])
def test_a_least_side_that_cannot_be(least_side):
    with pytest.raises(
        ValueError, match=f'least_side must be None or at least 1, got {least_side}'
    ):
        TRANSFORMS.build({'type': 'LoadPhoto', 'least_side': least_side})
