import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from vit_plugins.evaluation.functional.revisited_protocol import revisited_scores

GND = [dict(easy=[0], hard=[7, 2], junk=[5]), dict(easy=[6, 1], hard=[], junk=[0])]


def make_samples():
    vectors = torch.randn(10, 6)
    roles = [('query', 0), ('query', 1), *(('gallery', i) for i in range(8))]
    samples = []
    for index, (role, place) in enumerate(roles):
        meta = dict(sample_idx=index, role=role, image_idx=place)
        sample = DataSample(metainfo=meta)
        sample.set_field(vectors[index], 'embedding', dtype=torch.Tensor)
        samples.append(sample)
    return samples, vectors


def evaluate(samples, meta, **settings):
    evaluator = Evaluator([dict(type='RevisitedRetrievalMetric', **settings)])
    evaluator.dataset_meta = meta
    order = np.random.default_rng(0).permutation(len(samples))
    evaluator.process([samples[i] for i in order])
    return evaluator.evaluate(len(samples))


def test_the_protocols_in_percent_whatever_the_order_of_the_samples():
    samples, vectors = make_samples()
    expected = revisited_scores(vectors[:2], vectors[2:], GND, (1, 10))
    found = evaluate(samples, dict(revisited_gnd=GND), topk=(1, 10))
    assert found == {f'revisited/{k}': pytest.approx(100 * v) for k, v in expected.items()}
    assert set(expected) == {
        f'{p}/{m}' for p in ('easy', 'medium', 'hard') for m in ('mAP', 'mP@1', 'mP@10')
    }


def test_ties_are_told():
    samples, _ = make_samples()
    for sample in samples:
        sample.embedding.fill_(1)
    found = evaluate(samples, dict(revisited_gnd=GND), topk=(1,))
    assert found['revisited/hard/mP@1'] == 0
    assert found['revisited/hard/mP@1_optimistic'] == 100


def test_messages():
    samples, _ = make_samples()
    with pytest.raises(ValueError, match="needs the dataset's metainfo 'revisited_gnd'"):
        evaluate(samples, dict(classes=['a']))
    with pytest.raises(ValueError, match='image_idx of 7 images are not 0 to 6, each once'):
        evaluate(samples[:2] + samples[3:], dict(revisited_gnd=GND))
    with pytest.raises(ValueError, match='2 queries, but gnd is about 1'):
        evaluate(samples, dict(revisited_gnd=GND[:1]))
    for sample in samples:
        sample.set_metainfo(dict(role=''))
    with pytest.raises(ValueError, match="no sample has a role: PackInputs needs 'role'"):
        evaluate(samples, dict(revisited_gnd=GND))
    with pytest.raises(ValueError, match=r'topk must be numbers of at least 1, got \(0,\)'):
        METRICS.build(dict(type='RevisitedRetrievalMetric', topk=(0,)))
    with pytest.raises(ValueError, match='similarity must be one of'):
        METRICS.build(dict(type='RevisitedRetrievalMetric', similarity='l2'))
    assert repr(METRICS.build(dict(type='RevisitedRetrievalMetric'))) == (
        "RevisitedRetrievalMetric(topk=(1, 5, 10), similarity='cosine', device=None)"
    )
