"""Reports of descriptors against numpy and scikit-learn; encoders and their features."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from sklearn.decomposition import PCA
from torch.utils.data import DataLoader

from vit_plugins.inference.compare import analyze, as_table, load_encoder
from vit_plugins.inference.features import Features, encode, read_split

N, DIMS = 60, 8
BACKBONE = dict(
    type='VisionTransformer',
    arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
    img_size=16,
    patch_size=8,
)
PACK = [dict(type='Resize', scale=16), dict(type='PackInputs')]
NECK = dict(type='TokenPooling')
TRAINED = dict(
    head=dict(
        type='ContrastiveRetrievalHead',
        loss=dict(type='ContrastiveLoss'),
        memory=dict(type='CrossBatchMemory', size=5),
    ),
    momentum_encoder=0.9,
    pca=dict(type='PCAProjection', in_dims=16, out_dims=4),
)


def features(roles=None, seed=0):
    """Return features of unequal variance, far from the origin, of any length, and their roles."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 12, N)
    values = rng.standard_normal((N, DIMS)) + rng.standard_normal((12, DIMS))[labels]
    values = torch.from_numpy(values * np.linspace(0.2, 2, DIMS) + 1).float()
    roles = np.array(roles or [''] * N)
    return Features(values, labels, roles != 'gallery', roles != 'query')


def recall_at_1(vectors, labels, queries, gallery):
    """Return the percentage of queries with a positive whose nearest gallery image is one."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    hits = []
    for i in np.flatnonzero(queries):
        others = [j for j in np.flatnonzero(gallery) if j != i]
        if (labels[others] == labels[i]).any():
            best = max(others, key=lambda j: unit[i] @ unit[j])
            hits.append(labels[best] == labels[i])
    return 100 * np.mean(hits)


@pytest.mark.parametrize('roles', [None, ['query'] * 20 + ['gallery'] * 40])
def test_scores_are_those_of_loops_and_of_pca_by_scikit_learn(roles):
    given = features(roles)
    fitted_on = features(seed=1).values
    report = analyze(given, fitted_on, dims=[2, 5], topk=[1, 100])
    vectors, sides = given.values.double().numpy(), (given.labels, given.queries, given.gallery)
    assert list(report.scores) == [0, 2, 5]
    assert report.scores[0]['Recall@1'] == pytest.approx(recall_at_1(vectors, *sides))
    for k in (2, 5):
        projected = PCA(k).fit(fitted_on.double().numpy()).transform(vectors)
        assert report.scores[k]['Recall@1'] == pytest.approx(recall_at_1(projected, *sides))
    assert all(scores['Recall@100'] == 100 for scores in report.scores.values())
    assert report.scores[2]['Recall@1'] != report.scores[0]['Recall@1']


@pytest.mark.parametrize('roles', [None, ['query'] * 20 + ['gallery'] * 40])
def test_spread_is_that_of_numpy(roles):
    given = features(roles)
    report = analyze(given)
    unit = given.values.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    share = np.linalg.eigvalsh(np.cov(unit, rowvar=False))[::-1]
    share /= share.sum()
    assert report.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-6)
    np.testing.assert_allclose(report.energy, share.cumsum(), atol=1e-6)
    assert report.components == [int((share.cumsum() < e).sum()) + 1 for e in (0.5, 0.9, 0.99)]
    distances = np.linalg.norm(unit[:, None] - unit, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert report.nearest_distance == pytest.approx(distances.min(1).mean(), rel=1e-5)
    pairs = given.queries[:, None] & given.gallery & ~np.eye(N, dtype=bool)
    same = given.labels[:, None] == given.labels
    found = report.similarities
    for mask, counts in ((same, found.positives), (~same, found.negatives)):
        expected = np.histogram((unit @ unit.T)[mask & pairs], found.edges)[0]
        assert counts.sum() == expected.sum()
        assert abs(counts - expected).sum() <= 2  # float32 may round a cosine over an edge


def test_pca_needs_something_to_fit():
    with pytest.raises(ValueError, match='PCA needs features to fit on: give fitted_on'):
        analyze(features(), dims=[2])
    with pytest.raises(ValueError, match=r'features of shape \(60, 8\) have no 9 components'):
        analyze(features(), features().values, dims=[2, 9])


def test_table():
    given = features()
    reports = {name: analyze(given, given.values, dims=[4], topk=[1]) for name in ('a', 'b')}
    head, line, full, reduced, *others = as_table(reports).splitlines()
    names = 'model | dims | Recall@1 | MAP@R | effective rank | k at 50/90/99 % | nearest'
    assert head == f'| {names} |'
    assert line == '|' + ' --- |' * 7
    report = reports['a']
    scores = ' | '.join(f'{value:.2f}' for value in report.scores[0].values())
    spread = '/'.join(map(str, report.components))
    nearest = f'{report.nearest_distance:.3f}'
    assert full == f'| a | 8 | {scores} | {report.effective_rank:.1f} | {spread} | {nearest} |'
    scores = ' | '.join(f'{value:.2f}' for value in report.scores[4].values())
    assert reduced == f'| a | PCA 4 | {scores} |  |  |  |'
    assert [row[:5] for row in others] == ['| b |'] * 2


# --- from a config ------------------------------------------------------------------------------


def recipe(model=None):
    flip = [dict(type='RandomFlip', prob=1.0), *PACK]  # not to be seen by what encodes

    def loader(split, pipeline):
        dataset = dict(type='RotatedDigits', split=split, pipeline=pipeline)
        sampler = dict(type='DefaultSampler', shuffle=split == 'train')
        return dict(batch_size=200, num_workers=0, dataset=dataset, sampler=sampler)

    return Config(
        dict(
            default_scope='mmpretrain',
            model=model or dict(type='EmbeddingRetriever', backbone=BACKBONE, neck=NECK),
            data_preprocessor=dict(mean=[127] * 3, std=[60] * 3),
            train_dataloader=loader('train', flip),
            test_dataloader=loader('test', PACK),
            randomness=dict(seed=3),
        ),
        cfg_text='there is no file to read',
        filename='recipe.py',
    )


def test_a_checkpoint_loads_without_what_only_training_needs(tmp_path):
    model = dict(type='EmbeddingRetriever', backbone=BACKBONE, neck=NECK, **TRAINED)
    trained = MODELS.build(model).eval()
    torch.save({'state_dict': trained.state_dict()}, tmp_path / 'trained.pth')
    images = torch.randn(2, 3, 16, 16)
    bare = dict(type='EmbeddingRetriever', backbone=BACKBONE, neck=NECK)
    for settings in (model, {**model, 'pca': None}, bare):
        encoder = load_encoder(recipe(settings), tmp_path / 'trained.pth', 'cpu')
        assert not encoder.training
        assert torch.equal(encoder.extract_feat(images), trained.extract_feat(images))


def test_random_weights_are_those_of_the_seed():
    first, second = (load_encoder(recipe(), None, 'cpu') for _ in range(2))
    other = recipe()
    other.randomness.seed = 4
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), load_encoder(other, None, 'cpu')(images))


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    model = dict(type='EmbeddingRetriever', backbone=BACKBONE, neck=NECK)
    state = MODELS.build(model).state_dict()
    for key, message in (('backbone.ln1.weight', 'ln1.weight'), ('backbone.cls_token', 'cls_tok')):
        torch.save({k: v for k, v in state.items() if k != key}, tmp_path / 'part.pth')
        with pytest.raises(
            ValueError, match=rf'part.pth, with recipe.py, does not fit (?s:.*){message}'
        ):
            load_encoder(recipe(), tmp_path / 'part.pth', 'cpu')


def test_a_classifier_gives_no_descriptors():
    head = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16)
    classifier = dict(type='ImageClassifier', backbone=BACKBONE, head=head)
    with pytest.raises(ValueError, match=r'recipe.py: a ImageClassifier gives no descriptors'):
        load_encoder(recipe(classifier), None, 'cpu')


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_all_images_in_order_through_the_transforms_of_the_test(workers):
    cfg = recipe()
    cfg.test_dataloader.num_workers = workers
    cfg.test_dataloader.persistent_workers = workers > 0
    encoder = load_encoder(cfg, None, 'cpu')
    found = encode(encoder, read_split(cfg, 'train'))
    unflipped = dict(type='RotatedDigits', split='train', pipeline=PACK)
    samples = pseudo_collate([*DATASETS.build(unflipped)])
    data = encoder.data_preprocessor(samples)
    expected = [int(sample.gt_label) for sample in data['data_samples']]
    assert found.labels.tolist() == expected
    with torch.no_grad():
        torch.testing.assert_close(found.values, encoder.extract_feat(data['inputs']))
    assert found.queries.all()
    assert found.gallery.all()


def test_a_split_that_is_not_there_and_images_without_classes():
    cfg = recipe()
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='the config has no train_dataloader to encode images of'):
        read_split(cfg, 'train')
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    bare = [dict(inputs=image, data_samples=DataSample(metainfo=dict(sample_idx=0)))]
    with pytest.raises(ValueError, match='the images of list have no class labels'):
        encode(load_encoder(cfg, None, 'cpu'), DataLoader(bare, collate_fn=pseudo_collate))
