"""The fraction of the short side that a test uses."""

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from timm.data import create_transform

from vit_plugins.config_edits.crop_ratio import set_crop_ratio


def pipeline(size=224, scale=256):
    return [
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=scale, edge='short', interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=size),
        dict(type='PackInputs'),
    ]


@pytest.mark.parametrize('size', [224, (224, 224), 384])
@pytest.mark.parametrize('ratio', [1.0, 0.95, 0.9, 0.875, 0.6])
def test_resizes_as_timm_does(size, ratio):
    steps = pipeline(size)
    set_crop_ratio(steps, ratio)
    side = size if isinstance(size, int) else size[0]
    oracle = create_transform(side, is_training=False, crop_pct=ratio).transforms[0]
    assert steps[1]['scale'] == oracle.size
    assert [steps[0], *steps[2:]] == [pipeline(size)[0], *pipeline(size)[2:]]


def test_shows_that_share_of_the_image():
    """On a ramp from 0 to 200 along the short side, half of the side has half of the levels."""
    steps = pipeline(50)[1:3]
    set_crop_ratio(steps, 0.5)
    ramp = np.linspace(0, 200, 200)[:, None, None].repeat(300, 1).repeat(3, 2).astype('uint8')
    out = Compose([TRANSFORMS.build(step) for step in steps])({'img': ramp})['img']
    assert out.shape == (50, 50, 3)
    assert int(out.min()) == pytest.approx(50, abs=3)
    assert int(out.max()) == pytest.approx(150, abs=3)


def test_reaches_views():
    views = [dict(type='TestTimeAug', transforms=[pipeline()[1:2], pipeline()[2:3]])]
    set_crop_ratio(views, 1.0)
    assert views[0]['transforms'][0][0]['scale'] == 224


@pytest.mark.parametrize('ratio', [0, -0.5, 1.01, float('nan')])
def test_ratio_out_of_range(ratio):
    with pytest.raises(ValueError, match=r'must lie within \(0, 1\], got'):
        set_crop_ratio(pipeline(), ratio)


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([], 'the test pipeline is $'),
        (pipeline()[:1], 'the test pipeline is LoadImageFromFile'),
        (pipeline()[:2], 'LoadImageFromFile > ResizeEdge'),
        (pipeline()[2:0:-1], 'CenterCrop > ResizeEdge'),
        ([*pipeline()[:3], *pipeline()[1:]], 'one ResizeEdge and one CenterCrop'),
        ([dict(type='Resize', scale=32), pipeline()[2]], 'Resize > CenterCrop'),
        ([dict(pipeline()[1], edge='long'), pipeline()[2]], 'plain square crop'),
        (pipeline((200, 300)), 'plain square crop'),
        (
            [pipeline()[1], dict(pipeline()[2], efficientnet_style=True)],
            'the short side resized and a plain',
        ),
    ],
)
def test_pipeline_without_such_a_pair(steps, message):
    with pytest.raises(ValueError, match=message):
        set_crop_ratio(steps, 0.9)
