import copy
from unittest import mock

import pytest
import torch
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from ranks import run_on_ranks
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from vit_plugins.models.retrievers import embedding_retriever

ARCH = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
VIT = dict(type='VisionTransformer', arch=ARCH, img_size=16, patch_size=8)
MEMORY = dict(type='CrossBatchMemory', size=13)
HEAD = dict(type='ContrastiveRetrievalHead', loss=dict(type='ContrastiveLoss'))


def build(backbone=VIT, mode='cls', **settings):
    neck = settings.pop('neck', dict(type='TokenPooling', mode=mode))
    return MODELS.build(
        {
            'type': 'EmbeddingRetriever',
            'backbone': backbone,
            'neck': neck,
            **copy.deepcopy(settings),
        }
    )


def with_memory(**settings):
    return build(head=dict(HEAD, memory=MEMORY), **settings)


def samples(labels):
    return [DataSample().set_gt_label(int(label)) for label in labels]


@pytest.fixture
def log(logged_by):
    return logged_by(embedding_retriever)


# --- descriptors --------------------------------------------------------------------------------


def test_neck_of_several_parts():
    """A list in a config is a sequence of modules, as for the host's ImageClassifier."""
    neck = [
        dict(type='TokenPooling'),
        dict(type='LinearNeck', in_channels=16, out_channels=4, gap_dim=0),
    ]
    model, images = build(neck=neck).eval(), torch.randn(2, 3, 16, 16)
    pooling, linear = model.neck
    with torch.no_grad():
        expected = F.normalize(linear(pooling(model.backbone(images)))[-1], dim=-1)
        torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize(
    ('backbone', 'mode', 'dims'),
    [
        (VIT, 'cls', 16),
        (dict(VIT, out_type='raw'), 'gem', 16),
        (dict(VIT, out_type='featmap'), 'max', 16),
        (dict(VIT, type='DistilledVisionTransformer'), 'cls', 16),
        (dict(VIT, type='DeiT3ViT'), 'cls', 16),
        (dict(VIT, type='ConViT', arch=dict(ARCH, num_heads=4), num_local_layers=1), 'cls', 16),
        (
            dict(
                type='SwinTransformer',
                arch=dict(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4),
                img_size=32,
                window_size=2,
                pad_small_map=True,
            ),
            'avg',
            64,
        ),
        (dict(type='ResNet', depth=18, stem_channels=8, base_channels=8), 'gem', 64),
    ],
)
def test_descriptors_of_any_backbone(backbone, mode, dims):
    model, images = build(backbone, mode).eval(), torch.randn(2, 3, 32, 32)
    descriptors = model(images)
    assert descriptors.shape == (2, dims)
    assert descriptors.dtype == torch.float32
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(descriptors, F.normalize(model.extract_feat(images)))


def test_no_neck_and_the_hosts_neck():
    images = torch.randn(2, 3, 32, 32)
    assert build(neck=None)(images).shape == (2, 16)
    maps = dict(VIT, out_type='featmap')
    assert build(maps, neck=dict(type='GlobalAveragePooling'))(images).shape == (2, 16)


def test_predict_writes_the_embedding():
    model, images = build().eval(), torch.randn(3, 3, 16, 16)
    expected = model(images)
    given = samples(range(3))
    for found in (model(images, given, mode='predict'), model(images, mode='predict')):
        assert torch.equal(torch.stack([sample.embedding for sample in found]), expected)
    assert [sample.gt_label.item() for sample in given] == [0, 1, 2]


def test_pca_stands_between_pooling_and_normalisation():
    projection = nn.Linear(16, 5).double()  # as fitted in float64

    class Projection(nn.Module):
        def forward(self, feats):
            return projection(feats.double())

    model, images = build(pca=Projection()).eval(), torch.randn(3, 3, 16, 16)
    expected = F.normalize(projection(model.extract_feat(images).double()).float())
    torch.testing.assert_close(model(images), expected)
    assert model(images).dtype == torch.float32


def test_descriptors_are_float32_under_autocast():
    model, images = build().eval(), torch.randn(3, 3, 16, 16)
    with torch.autocast('cpu', torch.bfloat16):
        descriptors = model(images)
    assert descriptors.dtype == torch.float32
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(3))


def test_the_hosts_heads_train_it():
    head = dict(type='ArcFaceClsHead', num_classes=4, in_channels=16)
    losses = build(head=head)(torch.randn(2, 3, 16, 16), samples([1, 3]), mode='loss')
    assert losses['loss'].requires_grad


def test_layer_depths():
    model = build()
    expected = model.backbone.get_layer_depth('layers.0.ln1.weight', '')
    assert model.get_layer_depth('backbone.layers.0.ln1.weight') == expected


# --- weights of other models --------------------------------------------------------------------


def test_weights_of_a_classifier(tmp_path, log):
    head = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16)
    classifier = MODELS.build(dict(type='ImageClassifier', backbone=VIT, head=head))
    torch.save({'state_dict': classifier.state_dict()}, tmp_path / 'classifier.pth')
    model = with_memory(momentum_encoder=0.99).eval()
    load_checkpoint(model, str(tmp_path / 'classifier.pth'), strict=True)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(model.extract_feat(images), classifier.eval().backbone(images)[-1])
    assert log == [
        'EmbeddingRetriever: head.layers.head.weight, head.layers.head.bias are not loaded.'
    ]
    encoder = model.momentum_encoder.module.state_dict()
    assert encoder
    assert all(torch.equal(encoder[k], model.state_dict()[k]) for k in encoder)


@pytest.mark.parametrize('wrap', [False, True])
@pytest.mark.parametrize('distilled', [False, True])
def test_deit_weights_of_timm(distilled, wrap, tmp_path):
    vision_transformer = pytest.importorskip('timm.models.vision_transformer')
    deit = pytest.importorskip('timm.models.deit')
    kind = deit.VisionTransformerDistilled if distilled else vision_transformer.VisionTransformer
    theirs = kind(16, 8, num_classes=3, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2).eval()
    weights = {'model': theirs.state_dict(), 'epoch': 3} if wrap else theirs.state_dict()
    torch.save(weights, tmp_path / 'deit.pth')
    model = build(dict(VIT, type='DistilledVisionTransformer') if distilled else VIT).eval()
    load_checkpoint(model, str(tmp_path / 'deit.pth'), strict=True)
    images = torch.randn(2, 3, 16, 16)
    expected = theirs.forward_features(images)[:, 0]
    torch.testing.assert_close(model.extract_feat(images), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_a_bare_backbone(log):
    torchvision = pytest.importorskip('torchvision')
    theirs = torchvision.models.resnet18().eval()
    model = build(dict(type='ResNet', depth=18), 'avg').eval()
    model.load_state_dict(theirs.state_dict(), strict=True)
    assert log == ['EmbeddingRetriever: fc.weight, fc.bias are not loaded.']
    theirs.fc, images = nn.Identity(), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.extract_feat(images), theirs(images))


def test_weights_under_a_prefix():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = build(VIT)

    source = build(VIT, head=dict(HEAD, memory=MEMORY))
    weights = {f'module.{key}': value for key, value in source.state_dict().items()}
    wrapper = Wrapper()
    wrapper.load_state_dict(weights, strict=True)
    assert torch.equal(wrapper.module.backbone.pos_embed, source.backbone.pos_embed)


def test_a_trained_retriever_without_what_training_needed(log):
    trained = with_memory(momentum_encoder=0.99)
    model = build()
    model.load_state_dict(trained.state_dict(), strict=True)
    (line,) = log
    assert 'head.memory.embeddings' in line
    assert 'momentum_encoder.steps' in line
    with_memory(momentum_encoder=0.99).load_state_dict(trained.state_dict(), strict=True)
    assert len(log) == 1


def test_a_trained_retriever_with_the_memory_in_a_dict():
    trained = with_memory()
    trained.head.memory.store(torch.ones(2, 16), torch.arange(2))
    old = {'embeddings': torch.ones(2, 16), 'labels': torch.arange(2), 'pointer': 2, 'iter': 1}
    state = {key: x for key, x in trained.state_dict().items() if 'memory' not in key}
    state['head.memory._extra_state'] = old
    model = with_memory()
    model.load_state_dict(state, strict=True)
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    build(head=HEAD).load_state_dict(state, strict=True)  # dropped where there is none


def test_foreign_weights_are_refused():
    with pytest.raises(RuntimeError, match=r'None of the 1 keys .* belongs to a VisionTransf'):
        build().load_state_dict({'encoder.weight': torch.zeros(1)})


# --- momentum encoder ---------------------------------------------------------------------------


def test_momentum_encoder_follows_after_each_step():
    model = with_memory(momentum_encoder=0.75)
    images, optimizer = torch.randn(4, 3, 16, 16), torch.optim.SGD(model.parameters(), lr=0.1)
    own, average = model.backbone.cls_token, model.momentum_encoder.module.backbone.cls_token
    nn.init.normal_(own)  # whatever it was built with
    expected = own.detach().clone()
    for _ in range(3):
        losses = model(images, samples(range(4)), mode='loss')
        torch.testing.assert_close(average, expected)
        model.parse_losses(losses)[0].backward()
        optimizer.step()
        expected = 0.75 * expected + 0.25 * own.detach()
    assert not average.requires_grad


def test_memory_holds_the_keys_of_the_momentum_encoder():
    backbone = dict(VIT, drop_rate=0.5)
    model = with_memory(backbone=backbone, momentum_encoder=0.5).train()
    assert not model.momentum_encoder.training
    assert model.backbone.training
    images = torch.randn(4, 3, 16, 16)
    model(images, samples(range(4)), mode='loss')
    keys = F.normalize(model.eval().extract_feat(images))  # of its first forward: a copy
    torch.testing.assert_close(model.head.memory.entries()[0], keys)


# --- in a run -----------------------------------------------------------------------------------


class Images(Dataset):
    """The same random images of a few classes in each run."""

    metainfo = {}

    def __init__(self, classes=3, number=12, size=16):
        generator = torch.Generator().manual_seed(0)
        prototypes = torch.randn(classes, 3, size, size, generator=generator)
        self.labels = torch.arange(number) % classes
        noise = torch.randn(number, 3, size, size, generator=generator)
        self.images = prototypes[self.labels] + noise

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        sample = DataSample().set_gt_label(int(self.labels[index]))
        return dict(inputs=self.images[index], data_samples=sample)


def run(work_dir, max_iters, **settings):
    """Train with the host's runner and our checkpoints; return the weights afterwards."""
    torch.manual_seed(0)
    settings.setdefault('optim_wrapper', dict(optimizer=dict(type='AdamW', lr=1e-3)))
    runner = Runner(
        model=dict(
            type='EmbeddingRetriever',
            backbone=VIT,
            neck=dict(type='TokenPooling'),
            head=dict(HEAD, memory=MEMORY, koleo=dict(type='KoLeoLoss')),
            momentum_encoder=0.9,
        ),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            dataset=Images(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=max_iters),
        default_hooks=dict(
            checkpoint=dict(type='CrashSafeCheckpointHook', by_epoch=False, interval=4)
        ),
        randomness=dict(seed=0),
        default_scope='mmpretrain',
        experiment_name=f'{work_dir.name}_{max_iters}',
        **settings,
    )
    runner.train()
    return runner.model.state_dict()


def assert_equal(states, others):
    assert states.keys() == others.keys()
    assert [key for key in states if not torch.equal(states[key], others[key])] == []


@pytest.mark.slow
@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook')]], ids=['plain', 'with_EMAHook'])
def test_a_resumed_run_is_bit_equal(tmp_path, monkeypatch, hooks):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # the host pauses between epochs
    straight = run(tmp_path / 'straight', 8, custom_hooks=hooks)
    run(tmp_path / 'halves', 4, custom_hooks=hooks)
    resumed = run(tmp_path / 'halves', 8, resume=True, custom_hooks=hooks)
    assert_equal(straight, resumed)
    assert straight['head.memory.iter'] == 8
    assert straight['head.memory.pointer'] == 8 * 4 % 13
    assert straight['momentum_encoder.steps'] == 8


@pytest.mark.slow
def test_load_from_brings_no_foreign_memory(tmp_path, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)
    run(tmp_path / 'first', 4)
    state = run(tmp_path / 'second', 2, load_from=str(tmp_path / 'first/iter_4.pth'))
    assert (state['head.memory.iter'], len(state['head.memory.labels'])) == (2, 8)


def train_and_resume(rank, folder):
    settings = dict(
        launcher='pytorch',
        cfg=dict(model_wrapper_cfg=dict(broadcast_buffers=False, device_ids=None)),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3), accumulative_counts=2),
    )
    with mock.patch('time.sleep'):  # the host pauses between epochs
        straight = run(folder / 'straight', 8, **settings)
        run(folder / 'halves', 4, **settings)
        resumed = run(folder / 'halves', 8, resume=True, **settings)
    assert_equal(straight, resumed)
    assert_equal({key: broadcast(value) for key, value in resumed.items()}, resumed)
    # Each rank has every second image, in batches of 4 and 2 by turns.
    shares = [Images().labels[own::2] for own in range(2)]
    seen = torch.cat([share[batch] for batch in (slice(4), slice(4, 6)) for share in shares])
    by_age = torch.cat([seen] * 4)[-13:]
    pointer = int(straight['module.head.memory.pointer'])
    assert torch.equal(straight['module.head.memory.labels'].roll(-pointer), by_age)
    assert straight['module.head.memory.iter'] == straight['module.momentum_encoder.steps'] == 8


def broadcast(value):
    value = value.clone()
    torch.distributed.broadcast(value, 0)
    return value


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='two ranks of a CPU')
def test_two_ranks_accumulate_gradients_resume_and_share_one_memory(tmp_path):
    run_on_ranks(train_and_resume, tmp_path, tmp_path)


# --- settings -----------------------------------------------------------------------------------


def test_refuses_settings():
    with pytest.raises(ValueError, match=r'momentum_encoder \(1.0\) is the share that stays'):
        with_memory(momentum_encoder=1.0)
    with pytest.raises(ValueError, match='fills a memory, and the head has none'):
        build(head=HEAD, momentum_encoder=0.999)
    distilled = dict(VIT, type='DistilledVisionTransformer', out_type='raw')
    with pytest.raises(ValueError, match=r'puts 2 extra token.* set num_extra_tokens=2'):
        build(distilled)
    assert build(distilled, neck=dict(type='TokenPooling', num_extra_tokens=2))


def test_refuses_calls():
    images = torch.randn(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"mode \('feat'\) must be"):
        build()(images, mode='feat')
    with pytest.raises(ValueError, match='head=None has nothing to train with'):
        build()(images, samples([0, 1]), mode='loss')
    with pytest.raises(ValueError, match=r'got \(2, 16, 2, 2\): set neck=dict'):
        build(dict(VIT, out_type='featmap'), neck=None)(images)


def test_data_preprocessor():
    assert type(build().data_preprocessor).__name__ == 'ClsDataPreprocessor'
    settings = dict(mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0])
    assert build(data_preprocessor=settings).data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
    assert 'type' not in settings
