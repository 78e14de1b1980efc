"""The metric as an evaluator calls it, in one process and in two."""

import os

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample
from ranks import run_on_ranks

from vit_plugins.datasets.unfit_data import UnfitDataError
from vit_plugins.evaluation.functional.retrieval_scores import retrieval_scores


def make_samples(n=31, classes=6, role=lambda i: None):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (n,), generator=generator)
    embeddings = torch.randn(n, 8, generator=generator)
    samples = []
    for i in range(n):
        sample = DataSample(metainfo=dict(sample_idx=i)).set_gt_label(labels[i])
        if role(i):
            sample.set_metainfo(dict(role=role(i)))
        sample.set_field(embeddings[i], 'embedding', dtype=torch.Tensor)
        samples.append(sample)
    return samples, embeddings, labels


def evaluate(samples, size=None, batch=4, meta=None, **settings):
    evaluator = Evaluator([dict(type='RetrievalMetric', **settings)])
    evaluator.dataset_meta = meta
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples) if size is None else size)


def test_each_sample_among_all_others():
    samples, embeddings, labels = make_samples()
    expected = retrieval_scores(embeddings, labels, topk=(1, 10)).pessimistic
    found = evaluate(samples, topk=(1, 10))
    assert list(found) == [
        'retrieval/Recall@1',
        'retrieval/Recall@10',
        'retrieval/P@1',
        'retrieval/MAP@R',
        'retrieval/R-precision',
        'retrieval/mAP',
        'retrieval/queries_without_positives',
    ]
    for name, value in expected.items():
        assert found[f'retrieval/{name}'] == pytest.approx(100 * value)


def test_queries_in_a_gallery():
    samples, embeddings, labels = make_samples(role=lambda i: 'query' if i % 3 else 'gallery')
    query = torch.arange(31) % 3 > 0
    expected = retrieval_scores(
        embeddings[query], labels[query], embeddings[~query], labels[~query]
    )
    found = evaluate(samples)
    assert found['retrieval/mAP'] == pytest.approx(100 * expected.pessimistic['mAP'])
    assert found['retrieval/queries_without_positives'] == expected.without_positives


def test_a_collapsed_encoder_scores_nothing_and_says_why():
    samples, _, _ = make_samples(classes=3)
    for sample in samples:
        sample.embedding.fill_(0.5)
    found = evaluate(samples, items=('Recall',), topk=(1,))
    assert found['retrieval/Recall@1'] == 0
    assert found['retrieval/Recall@1_optimistic'] == 100


def test_lone_queries_are_counted_and_results_do_not_pile_up():
    samples, _, _ = make_samples(n=9, classes=3)
    samples[4].set_gt_label(77)
    metric = METRICS.build(dict(type='RetrievalMetric', topk=(1,), items=('Recall',)))
    for _ in range(2):
        metric.process(None, [sample.to_dict() for sample in samples])
        assert metric.evaluate(9)['retrieval/queries_without_positives'] == 1


def evaluate_share(rank, folder):
    """Compute the scores from this rank's part of a padded sampler, shuffled or not."""
    os.chdir(folder)  # the host collects through a folder where it stands
    samples = make_samples()[0]
    found = []
    for shuffle in (False, True):
        mine = list(DefaultSampler(samples, shuffle=shuffle, seed=0))
        assert len(mine) == 16  # of 31: one is repeated
        for batch in (1, 5):
            found.append(evaluate([samples[i] for i in mine], size=31, batch=batch))
    torch.save(found, f'{folder}/{rank}.pt')


@pytest.mark.slow
def test_samples_that_pad_two_ranks_count_once(tmp_path):
    run_on_ranks(evaluate_share, tmp_path, tmp_path)
    expected = evaluate(make_samples()[0])
    for rank in range(2):
        for found in torch.load(tmp_path / f'{rank}.pt'):
            assert found == expected


def test_messages():
    for settings, match in (
        (dict(items=('recall',)), 'metrics must be some of'),
        (dict(topk=(1, 0)), r'each at least 1, got \(1, 0\)'),
        (dict(similarity='l2'), "similarity must be one of .*got 'l2'"),
    ):
        with pytest.raises(ValueError, match=match):
            METRICS.build(dict(type='RetrievalMetric', **settings))
    samples, _, _ = make_samples()
    with pytest.raises(ValueError, match='32 samples have 31 different sample_idx'):
        evaluate([*samples, samples[0]])
    samples[3].embedding[2] = np.nan
    with pytest.raises(ValueError, match='1 of 31 embeddings hold NaN'):
        evaluate(samples)


def test_it_tells_its_settings():
    assert METRICS.build(dict(type='RetrievalMetric')).topk == (1, 10, 100, 1000)
    metric = METRICS.build(dict(type='RetrievalMetric', topk=(1,), items=('Recall',)))
    assert repr(metric) == (
        "RetrievalMetric(topk=(1,), items=('Recall',), similarity='cosine', device=None)"
    )


class Labelled(list):
    """A dataset of (label, role), or of labels alone."""

    def get_data_info(self, index):
        label, *role = self[index] if isinstance(self[index], tuple) else (self[index],)
        return {'gt_label': label, **({'role': role[0]} if role else {})}


@pytest.mark.parametrize(
    'samples',
    [
        [0, 1, 2],
        [(0, 'query'), (0, 'query'), (1, 'gallery'), (1, 'gallery')],
        [(0, 'gallery')],
    ],
)
def test_images_without_a_pair_are_refused_before_the_run(samples):
    with pytest.raises(UnfitDataError, match=r'cannot be scored on these \d images'):
        METRICS.build({'type': 'RetrievalMetric'}).check_dataset(Labelled(samples))


@pytest.mark.parametrize(
    'samples', [[0, 1, 1], [(0, 'query'), (1, 'query'), (1, 'gallery')], [{}, {}], range(3)]
)
def test_one_pair_is_enough_and_what_cannot_be_known_passes(samples):
    data = Labelled(samples) if isinstance(samples, list) else samples
    if samples == [{}, {}]:  # no labels
        data.get_data_info = lambda index: {}
    METRICS.build({'type': 'RetrievalMetric'}).check_dataset(data)
