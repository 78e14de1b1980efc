"""Weights that load strictly, and the messages about the others."""

from collections import OrderedDict

import pytest
import torch
from mmengine.model import BaseTTAModel
from mmpretrain.registry import MODELS

from vit_plugins.weights.loading import CheckpointMismatchError, load_weights

ARCH = {'embed_dims': 16, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 32}
VIT = {'type': 'VisionTransformer', 'img_size': 32, 'patch_size': 8, 'arch': ARCH}
CONVIT = {**VIT, 'type': 'ConViT', 'arch': {**ARCH, 'num_heads': 4}, 'num_local_layers': 1}
HEAD = {'type': 'VisionTransformerClsHead', 'num_classes': 3, 'in_channels': 16}


def classifier(backbone=VIT, head=HEAD, **kwargs):
    return MODELS.build(
        {'type': 'ImageClassifier', 'backbone': {**backbone}, 'head': {**head}, **kwargs}
    )


def random_state(model):
    state = model.state_dict()
    for key, value in state.items():
        state[key] = torch.rand_like(value) if value.is_floating_point() else value
    return state


class Views(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


@pytest.mark.parametrize('wrap', ['plain', 'dict', 'module', 'views'])
def test_all_is_loaded(wrap):
    model = classifier()
    state = random_state(classifier())
    checkpoint = state if wrap == 'plain' else {'state_dict': state}
    if wrap == 'module':
        checkpoint = {'state_dict': OrderedDict((f'module.{k}', v) for k, v in state.items())}
    load_weights(Views(module=model) if wrap == 'views' else model, checkpoint, 'x.pth')
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize(
    ('backbone', 'told'),
    [
        (
            {'arch': {**ARCH, 'embed_dims': 32}},
            r'of another shape: backbone\.cls_token \[1, 1, 32\] in the file, \[1, 1, 16\] in the',
        ),
        (
            {'arch': {**ARCH, 'num_layers': 1}},
            r'^x\.pth does not fit this ImageClassifier: 12 without weights in the file: '
            r'backbone\.layers\.1\.ln1\.weight, .* and 7 more$',
        ),
        (
            {'arch': {**ARCH, 'num_layers': 3}},
            r'12 in the file without a place: backbone\.layers\.2\.ln1\.weight',
        ),
        (CONVIT, r'^x\.pth does not fit this ImageClassifier: The length of `pos_embed` \(16\)'),
        ({'img_size': (16, 40)}, r'length of `pos_embed` \(11\)'),
    ],
    ids=['wider', 'fewer blocks', 'more blocks', 'another kind', 'no square grid'],
)
def test_weights_of_another_model(backbone, told):
    state = classifier({**VIT, **backbone}).state_dict()
    with pytest.raises(CheckpointMismatchError, match=told):
        load_weights(classifier(), state, 'x.pth', may_differ=('head.',))


def test_nothing_of_it():
    with pytest.raises(CheckpointMismatchError, match='None of the 1 keys of the checkpoint bel'):
        load_weights(
            classifier(CONVIT),
            {'other': torch.zeros(1)},
            'x.pth',
        )


def test_another_head_if_that_may_differ():
    state = random_state(classifier(head={**HEAD, 'num_classes': 7}))
    with pytest.raises(CheckpointMismatchError, match=r'head\.layers\.head\.weight \[7, 16\]'):
        load_weights(classifier(), state, 'x.pth')
    model = classifier()
    load_weights(model, state, 'x.pth', may_differ=('head.',))
    assert torch.equal(model.backbone.cls_token, state['backbone.cls_token'])


def test_position_embedding_of_another_size():
    state = random_state(classifier({**VIT, 'img_size': 64}))
    load_weights(model := classifier(), state, 'x.pth')
    assert torch.equal(model.backbone.pos_embed[:, 0], state['backbone.pos_embed'][:, 0])


DRLOC = {'type': 'DRLocHead', 'head': HEAD, 'in_channels': 16}


@pytest.mark.parametrize('change', ['absent', 'more', 'another shape'])
def test_localization_mlp_may_differ(change):
    model = classifier({**VIT, 'out_type': 'raw'}, DRLOC)
    state = random_state(classifier({**VIT, 'out_type': 'raw'}, DRLOC))
    own = [key for key in state if '.drloc.' in key]
    for key in own:
        if change == 'absent':
            del state[key]
        elif change == 'more':
            state[key.replace('.drloc.', '.drloc.1.')] = state[key]
        else:
            state[key] = torch.zeros(3)
    load_weights(model, state, 'x.pth')
    assert own


def test_memory_and_momentum_encoder_may_be_absent():
    retriever = {
        **{'type': 'EmbeddingRetriever', 'backbone': VIT, 'neck': {'type': 'TokenPooling'}},
        'head': {
            **{'type': 'ContrastiveRetrievalHead', 'loss': {'type': 'ContrastiveLoss'}},
            'memory': {'type': 'CrossBatchMemory', 'size': 4},
        },
    }
    plain = MODELS.build({**retriever, 'head': None})
    load_weights(MODELS.build({**retriever, 'momentum_encoder': 0.9}), plain.state_dict(), 'x.pth')
    more = MODELS.build({**retriever, 'momentum_encoder': 0.9}).state_dict()
    load_weights(plain, more, 'x.pth')
