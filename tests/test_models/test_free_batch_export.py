"""Backbones, classifiers and retrievers are exported once and run at any batch size."""

import pytest
import torch
from mmengine.utils import digit_version
from mmpretrain.registry import MODELS

pytestmark = [
    pytest.mark.skipif(
        digit_version(torch.__version__) < digit_version('2.6'),
        reason='old torch cannot export the host FFN (nor any host transformer)',
    ),
    pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning'),
    pytest.mark.filterwarnings('ignore::FutureWarning'),
    pytest.mark.filterwarnings('ignore::DeprecationWarning'),
]
ARCH = dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16)
VIT = dict(arch=ARCH, img_size=16, patch_size=8)
CVT = dict(type='CvT', arch=dict(embed_dims=(8, 8, 16), num_heads=(1, 1, 4), depths=(1, 1, 1)))
T2T = dict(
    type='T2TViTPerformer',
    img_size=32,
    embed_dims=16,
    num_layers=2,
    token_dims=8,
    layer_cfgs=dict(num_heads=4, feedforward_channels=16),
)
RESNET = dict(type='ResNet', depth=18, base_channels=2, stem_channels=2)
BACKBONES = {
    'ConViT': dict(type='ConViT', num_local_layers=1, **VIT),
    'CvT': CVT,
    'CvT gap': CVT | dict(style='gap', out_type='featmap'),
    'DeiT3ViT': dict(type='DeiT3ViT', **VIT),
    'HybridViT': dict(type='HybridViT', arch=ARCH, stem=(1,), img_size=32),
    'PosEmbedViT': dict(type='PosEmbedViT', pos_embed='2d', **VIT),
    'T2TViTPerformer': T2T,
}
OUT_TYPES = ('cls_token', 'featmap', 'avg_featmap', 'raw')
VIT_HEAD = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16)
LINEAR_HEAD = dict(type='LinearClsHead', num_classes=3, in_channels=16)
DRLOC_HEAD = dict(type='DRLocHead', in_channels=16, head=VIT_HEAD)
GAP = dict(type='GlobalAveragePooling')


def classifier(backbone, head):
    return dict(type='ImageClassifier', backbone=backbone, head=head)


def check_free_batch(model):
    """Export with two images and a free batch; compare with the model at 1, 3 and 5 images.

    The older ONNX exporter of torch uses this trace.
    """
    model.eval()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(
        model, (torch.randn(2, 3, 32, 48),), dynamic_shapes=(({0: batch},)), strict=False
    )
    exported = program.module()
    traced = torch.jit.trace(model, torch.randn(2, 3, 32, 48), check_trace=False)
    for size in (1, 3, 5):
        images = torch.randn(size, 3, 32, 48)
        with torch.no_grad():
            expected = model(images)
            torch.testing.assert_close(exported(images), expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(traced(images), expected, atol=1e-5, rtol=1e-5)
        last = expected if isinstance(expected, torch.Tensor) else expected[-1]
        assert len(last) == size


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES if name != 'ConViT']


@pytest.mark.parametrize('name', ['ConViT', *OTHERS])
def test_backbone(name):
    check_free_batch(MODELS.build(BACKBONES[name]))


PRODUCT = [
    (name, out_type)
    for name in BACKBONES
    for out_type in OUT_TYPES
    if (name, out_type) != ('CvT gap', 'cls_token')
]


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'out_type'), PRODUCT)
def test_backbone_with_each_output(name, out_type):
    check_free_batch(MODELS.build(BACKBONES[name] | dict(out_type=out_type)))


RAW = {name: cfg | dict(out_type='raw') for name, cfg in BACKBONES.items() if name != 'CvT gap'}
CLASSIFIERS = {
    'plain': classifier(BACKBONES['PosEmbedViT'], VIT_HEAD),
    'binary': classifier(BACKBONES['DeiT3ViT'], VIT_HEAD | dict(type='VisionTransformerBCEHead')),
    'drloc map': classifier(
        BACKBONES['CvT gap'], DRLOC_HEAD | dict(head=LINEAR_HEAD, num_extra_tokens=0)
    ),
    'drloc neck': classifier(RESNET, DRLOC_HEAD | dict(head=LINEAR_HEAD, neck=GAP)),
    'drloc source': classifier(
        BACKBONES['DeiT3ViT'], DRLOC_HEAD | dict(source='backbone.layers.0')
    ),
    'drloc tokens': classifier(RAW['ConViT'], DRLOC_HEAD),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CLASSIFIERS)
def test_classifier(name):
    model = MODELS.build(CLASSIFIERS[name])
    if name == 'drloc source':
        model.head.attach(model)
    check_free_batch(model)


@pytest.mark.slow
@pytest.mark.parametrize('drloc', [False, True])
@pytest.mark.parametrize('name', RAW)
def test_classifier_with_each_backbone(name, drloc):
    if drloc:
        check_free_batch(MODELS.build(classifier(RAW[name], DRLOC_HEAD)))
    else:
        check_free_batch(MODELS.build(classifier(BACKBONES[name], VIT_HEAD)))


def retriever(backbone, mode, **settings):
    neck = dict(type='TokenPooling', mode=mode)
    return dict(type='EmbeddingRetriever', backbone=backbone, neck=neck, **settings)


PCA = dict(type='PCAProjection', in_dims=16, out_dims=4)
RETRIEVERS = {
    'class token': retriever(RAW['ConViT'], 'cls'),
    'gem, projected': retriever(BACKBONES['CvT gap'], 'gem', pca=PCA),
}


def fitted(cfg):
    model = MODELS.build(cfg)
    if model.pca is not None:
        model.pca.fit(torch.randn(32, 16))
    return model


@pytest.mark.slow
@pytest.mark.parametrize('name', RETRIEVERS)
def test_retriever(name):
    check_free_batch(fitted(RETRIEVERS[name]))


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['cls', 'max'])
@pytest.mark.parametrize('name', RAW)
def test_retriever_with_each_backbone(name, mode):
    check_free_batch(fitted(retriever(RAW[name], mode, pca=PCA)))


def test_unfitted_projection_is_refused_by_the_exported_program():
    model, images = MODELS.build(RETRIEVERS['gem, projected']).eval(), torch.randn(2, 3, 32, 48)
    exported = torch.export.export(model, (images,), strict=False).module()
    with pytest.raises(RuntimeError):
        exported(images)
