"""Recipes get the backbone of the named weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from vit_plugins.config_edits import follow_weights as following
from vit_plugins.config_edits.backbone_by_name import find_encoder, use_encoder
from vit_plugins.config_edits.follow_weights import follow_weights
from vit_plugins.resources import resource_root
from vit_plugins.weights.pretrained_models import pretrained_models

LITE = 'timm/tf_efficientnet_lite0'


def recipe(name):
    return Config.fromfile(resource_root() / 'configs' / f'{name}.py')


def built(node):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build({k: v for k, v in node.items() if k != 'init_cfg'})


@pytest.mark.parametrize(
    ('name', 'width', 'neck'),
    [
        ('mobilenet-v3-large_3rdparty_in1k', 960, 'GlobalAveragePooling'),
        ('vit-small-p14_dinov2-pre_3rdparty', 384, None),
        ('convit-tiny_3rdparty_in1k', 192, None),
    ],
)
def test_frozen_features_of_any_classifier(name, width, neck):
    state = torch.get_rng_state()
    cfg = use_encoder(recipe('photos-frozen'), find_encoder(name), 112)
    assert torch.equal(torch.get_rng_state(), state)
    assert (cfg.model.neck and cfg.model.neck.type) == neck
    assert cfg.model.head.in_channels == width
    steps = cfg.train_dataloader.dataset.pipeline
    assert (steps[1].scale, steps[2].crop_size, cfg.size) == (128, 112, 112)
    assert cfg.test_dataloader.dataset.pipeline == steps
    model = built(cfg.model)
    model.eval()
    assert model(torch.zeros(1, 3, 112, 112)).shape == (1, 2)


def test_photos_keeps_its_loss_with_another_convit_only(capsys):
    cfg = use_encoder(recipe('photos'), find_encoder('convit-small_3rdparty_in1k'), 224)
    assert (cfg.model.head.type, cfg.model.backbone.out_type) == ('DRLocHead', 'raw')
    assert cfg.model.head.in_channels == cfg.model.head.head.in_channels == 432
    built(cfg.model)
    cfg = use_encoder(recipe('photos'), find_encoder('tinyvit-5m_3rdparty_in1k'), 224)
    assert cfg.model.head.type == 'LinearClsHead'
    assert cfg.model.head.loss.type == 'LabelSmoothLoss'
    assert 'DRLocHead is for' in ''.join(capsys.readouterr())


def test_normalisation_follows():
    pytest.importorskip('timm')
    cfg = use_encoder(recipe('photos-frozen'), find_encoder(LITE), 64)
    assert cfg.data_preprocessor.mean == [127.5] * 3
    assert cfg.data_preprocessor.type == 'StackedDataPreprocessor'
    assert cfg.model.head.in_channels == 1280


@pytest.mark.parametrize(
    ('name', 'size', 'told'),
    [
        ('no-such-model', 224, 'no-such-model is no model of the index'),
        ('mae_vit-base-p16_8xb512-amp-coslr-300e_in1k', 224, 'is a MAE, not an ImageClassifier'),
        ('vit-small-p14_dinov2-pre_3rdparty', 100, r'--img-size 100 must be a multiple of 14, 98'),
    ],
)
def test_what_does_not_fit_is_refused(name, size, told):
    with pytest.raises(ValueError, match=told):
        use_encoder(recipe('photos-frozen'), find_encoder(name), size)


def test_a_file_says_by_its_name_or_its_weights_what_it_is_of(tmp_path, monkeypatch):
    cfg = recipe('photos-frozen')
    name = following._name_of(cfg, '/x/edgenext-small_3rdparty-usi_in1k_20220801-ae6d8dd3.pth')
    assert name == 'edgenext-small-usi_3rdparty_in1k'
    assert following._name_of(cfg, '/x/pytorch_model.bin') is None  # of many
    assert following._name_of(cfg, cfg.default_weights) is None  # the recipe's own backbone
    other = 'mobilenet-v3-large_3rdparty_in1k'
    rows = {name: pretrained_models()[name] for name in (other, 'convit-tiny_3rdparty_in1k')}
    monkeypatch.setattr(following, 'pretrained_models', lambda: rows)
    file = tmp_path / 'mine.pth'
    torch.save(built(find_encoder(other).backbone).state_dict(), file)
    cfg = follow_weights(cfg, str(file))
    assert cfg.model.backbone.type == 'MobileNetV3'
    torch.save({'layer.weight': torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r'fits neither .* mobilenet-v3-large.*--backbone NAME'):
        follow_weights(recipe('photos-frozen'), str(file))


def test_the_size_is_that_of_the_table_unless_named():
    name = 'vit-small-p14_dinov2-pre_3rdparty'  # tested at 518 px, too many for a CPU
    assert follow_weights(recipe('photos-frozen'), name).model.backbone.img_size == 224
    assert follow_weights(recipe('photos-frozen'), name, size=56).size == 56


def test_other_recipes_keep_their_backbone():
    cfg = recipe('photos-scratch')
    assert follow_weights(cfg, 'convit-small_3rdparty_in1k') is cfg
    with pytest.raises(ValueError, match='--backbone x: the network of this recipe is part of it'):
        follow_weights(cfg, None, 'x')


@pytest.mark.parametrize('name', ['convit_tiny', 'vit_tiny_patch16_224'])
def test_tokens_of_a_timm_model_are_pooled_as_timm_does(name):
    """At a size of the user's own, too; the weights fit as they are."""
    timm = pytest.importorskip('timm')
    encoder = find_encoder(f'timm/{name}')
    size = encoder.size if name == 'convit_tiny' else 96
    cfg = use_encoder(recipe('photos-frozen'), encoder, size)
    backbone, neck = built(cfg.model.backbone), built(cfg.model.neck)
    backbone.eval()
    sizes = {} if size == encoder.size else dict(dynamic_img_size=True)
    reference = timm.create_model(name, **sizes).eval()
    backbone.timm_model.load_state_dict(reference.state_dict(), strict=False)
    images = torch.randn(1, 3, size, size)
    with torch.no_grad():
        (found,) = neck(backbone(images))
        expected = reference.forward_head(reference.forward_features(images), pre_logits=True)
    assert torch.allclose(found, expected, atol=1e-5)
    assert found.shape[1] == cfg.model.head.in_channels


def test_timm_models_that_cannot_be_pooled_are_refused():
    pytest.importorskip('timm')
    with pytest.raises(ValueError, match=r'swin_tiny_.* gives maps with the channels last'):
        find_encoder('timm/swin_tiny_patch4_window7_224')
    encoder = find_encoder('timm/vit_tiny_patch16_224')
    with pytest.raises(
        ValueError, match=r'cannot be used here with images of 100 px: .*divisible'
    ):
        use_encoder(recipe('photos-frozen'), encoder, 100)
