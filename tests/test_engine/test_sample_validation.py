import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmpretrain.evaluation import MultiTasksMetric
from mmpretrain.registry import METRICS
from ranks import run_on_ranks

from vit_plugins.engine.hooks.metric_name_hook import MetricNameHook
from vit_plugins.engine.sample_validation import (
    UnscoredSampleError,
    evaluate_sample,
    rank_share,
    sample_indices,
)


@pytest.mark.parametrize(('size', 'count'), [(1000, 64), (7, 20), (5, 3), (1, 1)])
def test_as_many_different_images_as_there_are(size, count):
    found = sample_indices(size, count, seed=3)
    assert len(found) == len(set(found)) == min(size, count)
    assert found == sorted(found)
    assert set(found) <= set(range(size))


def test_random_pairs_from_all_over():
    found = sample_indices(1000, 64, seed=0)
    assert found != sample_indices(1000, 64, seed=1)
    assert len({i // 100 for i in found}) > 7  # of ten classes
    assert all(i ^ 1 in found for i in found)


@pytest.mark.parametrize(('size', 'ranks'), [(8, 2), (7, 2), (4, 4), (9, 4)])
def test_shares_are_disjoint_and_of_one_size(size, ranks):
    shares = [rank_share(list(range(size)), rank, ranks) for rank in range(ranks)]
    assert {len(share) for share in shares} == {size // ranks}
    assert len({i for share in shares for i in share}) == size // ranks * ranks


def test_no_rank_is_without_an_image():
    assert [rank_share([0, 1], rank, 3) for rank in range(3)] == [[0], [1], [0]]


class Unscorable(BaseMetric):
    """A metric that raises an error."""

    def process(self, data_batch, data_samples):
        self.results += list(data_samples)

    def compute_metrics(self, results):
        raise ValueError(f'no answer among {len(results)}')


def test_an_error_of_a_metric_within_another_is_noted_and_the_metric_as_before():
    inner = Unscorable()
    outer = MultiTasksMetric(dict(task=[]))
    outer._metrics['task'].append(inner)
    inner.results = [1, 2]
    with pytest.raises(UnscoredSampleError, match='no answer among 2'):
        evaluate_sample(Evaluator([outer]), 2)
    assert not inner.results
    with pytest.raises(ValueError, match='no answer among 0'):
        inner.compute_metrics([])


class Identity(torch.nn.Module):
    def val_step(self, batch):
        return batch


def stub_runner(metric, images):
    """Return a runner with the parts that the hook reads; its model is the identity."""
    loader = torch.utils.data.DataLoader(images, batch_size=4, collate_fn=list)
    rank = torch.distributed.get_rank()
    said = []
    return SimpleNamespace(
        rank=rank,
        world_size=2,
        seed=5 + rank,  # as of diff_rank_seed
        hooks=[],
        param_schedulers=[SimpleNamespace(need_val_args=True, monitor='retrieval/Recall@1')],
        model=Identity(),
        val_loop=SimpleNamespace(dataloader=loader, evaluator=Evaluator([metric])),
        said=said,
        logger=SimpleNamespace(info=said.append),
    )


def check_names(rank, folder):
    """Check names on two ranks, then meet in a collective."""
    os.chdir(folder)  # the host collects through a folder where it stands
    images = [
        dict(sample_idx=i, embedding=torch.randn(4), gt_label=torch.tensor([i // 2]))
        for i in range(11)
    ]
    found = {}
    for name, metric in (
        ('scored', METRICS.build(dict(type='RetrievalMetric', topk=(1,)))),
        ('unscored', Unscorable()),
    ):
        runner = stub_runner(metric, images)
        MetricNameHook().before_train(runner)
        met = [None, None]
        torch.distributed.all_gather_object(met, (name, rank))
        found[name] = (runner.said, met)
    torch.save(found, f'{folder}/{rank}.pt')


@pytest.mark.slow
def test_two_ranks_stay_in_step_whether_a_sample_can_be_scored_or_not(tmp_path):
    run_on_ranks(check_names, tmp_path, tmp_path)
    for rank in range(2):
        found = torch.load(tmp_path / f'{rank}.pt')
        assert found['scored'] == ([], [('scored', 0), ('scored', 1)])
        said, met = found['unscored']
        assert met == [('unscored', 0), ('unscored', 1)]
        assert len(said) == 1
        assert 'no answer among 8' in said[0]
