"""Time exact Recall@1/10/100/1000 of every image among all others, by several methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..evaluation.functional.retrieval_scores import retrieval_scores
from .comparison import Comparison, Side
from .setting import Setting

TOPK = (1, 10, 100, 1000)
VECTORS = {  # (N, D); 60,502 are the test images of Stanford Online Products
    'toy': ((500, 16),),
    'cpu': ((20_000, 128), (60_502, 384)),
    'gpu': ((60_502, 384),),
    'large': ((1_000_000, 384),),
    'scaling': tuple((n, 384) for n in (10_000, 20_000, 40_000)),
}
BLOCK = 1024  # number of queries at a time for the peers
TOLERANCE = 1e-4  # of the recalls: neighbours of almost equal similarity may be exchanged


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {f'Recall@K of {n} x {dims}': dict(n=n, dims=dims) for n, dims in VECTORS[size]}


def build(setting: Setting, *, n: int, dims: int) -> Comparison:
    """Return the methods: on a GPU the ones that run there, else faiss and others on the CPU.

    Args:
        setting: The device; similarities are float32 in any precision.
        n: Number of vectors.
        dims: Width of the vectors.
    """
    vectors, labels = sample_vectors(n, dims)
    on_device = vectors.to(setting.device)
    methods: dict[str, Callable[[], Tensor]] = {
        'ours': lambda: _ours(on_device, labels),
        'product+topk': lambda: _topk(on_device, labels),
    }
    missing = {}
    if not setting.is_cuda and setting.size != 'scaling':
        for name, peer in {'faiss': _faiss, 'pytorch_metric_learning': _metric_learning}.items():
            try:
                import_module(name)
            except ImportError as error:
                missing[name] = f'{error}'
            else:
                methods[name] = lambda peer=peer: peer(vectors, labels)
    sides = {name: Side(call, lambda call=call: [call()]) for name, call in methods.items()}
    about = 'only the product of all vectors with all, in blocks: twice what symmetry needs'
    average = 'the recalls and MAP@R, which needs the rank of every early positive'
    sides['ours, MAP@R'] = Side(lambda: _ours(on_device, labels, 'MAP@R'), about=average)
    sides['product'] = Side(lambda: _product(on_device), about=about)
    return Comparison(f'Recall@K of {n} x {dims}', sides, TOLERANCE, images=n, missing=missing)


def sample_vectors(n: int, dims: int) -> tuple[Tensor, np.ndarray]:
    """Sample unit vectors (n, dims) with a weak class signal, and labels, 2 to 9 for each class.

    Args:
        n: Number of vectors.
        dims: Width of the vectors.
    """
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(n), rng.integers(2, 10, n))[:n])
    generator = torch.Generator().manual_seed(0)
    centres = 0.3 * torch.randn(n, dims, generator=generator)
    vectors = torch.randn(n, dims, generator=generator) + centres[labels]
    return torch.nn.functional.normalize(vectors, dim=1), labels


def _ours(vectors: Tensor, labels: np.ndarray, *more: str) -> Tensor:
    scores = retrieval_scores(vectors, labels, topk=TOPK, metrics=('Recall', *more))
    return torch.tensor([scores.pessimistic[f'Recall@{k}'] for k in TOPK])


def _product(vectors: Tensor) -> None:
    for block in vectors.split(BLOCK):
        block @ vectors.T


def _topk(vectors: Tensor, labels: np.ndarray) -> Tensor:
    most = min(max(TOPK) + 1, len(vectors))
    blocks = ((block @ vectors.T).topk(most, dim=1).indices for block in vectors.split(BLOCK))
    return _recalls(blocks, torch.from_numpy(labels).to(vectors.device))


def _faiss(vectors: Tensor, labels: np.ndarray) -> Tensor:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors.numpy())
    found = index.search(vectors.numpy(), min(max(TOPK) + 1, len(vectors)))[1]
    return _recalls(torch.from_numpy(found).split(BLOCK), torch.from_numpy(labels))


def _metric_learning(vectors: Tensor, labels: np.ndarray) -> Tensor:
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    def recall(k: int) -> Callable[..., float]:
        def calculate(self, knn_labels, query_labels, not_lone_query_mask, **kwargs):
            hits = (knn_labels[:, :k] == query_labels[:, None]).any(1)
            return hits[not_lone_query_mask].float().mean().item()

        return calculate

    names = [f'Recall@{k}' for k in TOPK]
    methods = {f'calculate_{name}': recall(k) for name, k in zip(names, TOPK, strict=True)}
    methods['requires_knn'] = lambda self: [*AccuracyCalculator.requires_knn(self), *names]
    calculator = type('WithRecall', (AccuracyCalculator,), methods)(
        include=tuple(names), k=min(max(TOPK), len(vectors) - 1), device=torch.device('cpu')
    )
    found = calculator.get_accuracy(vectors, torch.from_numpy(labels))
    return torch.tensor([found[name] for name in names])


def _recalls(blocks: Iterable[Tensor], labels: Tensor) -> Tensor:
    """Compute the recalls from blocks of neighbours (b, 1001); the query itself is dropped."""
    counts, first = torch.zeros(len(TOPK), device=labels.device), 0
    for neighbours in blocks:
        queries = torch.arange(first, first + len(neighbours), device=labels.device)
        first += len(neighbours)
        others = neighbours != queries[:, None]
        hits = (labels[neighbours] == labels[queries][:, None]) & others
        place = others.cumsum(dim=1)  # the rank of each neighbour, from 1, without the query
        best = place.where(hits, torch.iinfo(torch.long).max).amin(dim=1)
        counts += torch.stack([(best <= k).sum() for k in TOPK])
    with_positives = (torch.bincount(labels)[labels] > 1).sum()
    return counts / with_positives
