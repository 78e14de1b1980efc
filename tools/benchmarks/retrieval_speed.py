"""Time and memory of exact Recall@1/10/100/1000 by five methods, and on a GPU if there is one.

    python tools/benchmarks/retrieval_speed.py

Each image is searched among all others: random unit vectors with a weak class signal, 2 to 9 of a
class, as many as in a usual test of speed and in the test set of Stanford Online Products. Each
method has a process of its own. Seconds are wall time; CPU are process seconds of all threads;
extra GB is the peak of memory beyond vectors and libraries. MMPretrain's retriever compares all
with all by broadcasting and would take hours: a few queries are measured and multiplied. faiss and
pytorch-metric-learning must be installed (the `test` extra). Takes about five minutes on two quiet
cores; --sizes 5000x64 a few seconds.
"""

import argparse
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

SIZES = ('20000x128', '60502x384')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--sizes', nargs='+', default=SIZES, metavar='NxD', help='vectors and their dimensions'
    )
    parser.add_argument('--out', type=Path, help='JSON file for the numbers')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import numpy as np
import torch
from torch import Tensor

TOPK = (1, 10, 100, 1000)
HOST_QUERIES = 4
MOST_EXTRA = 0.5  # GB
Recalls = dict[str, float]


def make_data(n: int, dims: int) -> tuple[Tensor, np.ndarray]:
    """Sample unit vectors with a weak class signal, and labels in random order."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 10, n)
    labels = rng.permutation(np.repeat(np.arange(n), sizes)[:n])
    generator = torch.Generator().manual_seed(0)
    centres = 0.3 * torch.randn(n, dims, generator=generator)
    vectors = torch.randn(n, dims, generator=generator)
    for part in torch.arange(n).split(1024):
        vectors[part] += centres[labels[part]]
        vectors[part] = torch.nn.functional.normalize(vectors[part], dim=1)
    return vectors, labels


def recalls_of_neighbours(neighbours: np.ndarray, first: int, labels: np.ndarray) -> np.ndarray:
    """Count, for each K, the queries first, first + 1, … with their class among K neighbours.

    ``neighbours`` (n, 1001) holds the query itself, which is dropped by its index.
    """
    queries = np.arange(first, first + len(neighbours))
    others = neighbours != queries[:, None]
    hits = (labels[neighbours] == labels[queries][:, None]) & others
    place = np.cumsum(others, axis=1)  # of each neighbour, from 1, without the query
    ranks = np.where(
        hits.any(axis=1),
        np.take_along_axis(place, hits.argmax(axis=1)[:, None], axis=1)[:, 0],
        np.iinfo(int).max,
    )
    return np.array([(ranks <= k).sum() for k in TOPK])


def named(counts: np.ndarray, labels: np.ndarray) -> Recalls:
    """Turn counts into recalls of the queries that have a positive."""
    sizes = np.bincount(labels)
    queries = (sizes[labels] > 1).sum()
    return {f'Recall@{k}': float(c / queries) for k, c in zip(TOPK, counts, strict=True)}


def ours(vectors: Tensor, labels: np.ndarray, device: str | None = None) -> Recalls:
    """Count ranks."""
    from vit_plugins.evaluation.functional.retrieval_scores import retrieval_scores

    scores = retrieval_scores(vectors, labels, topk=TOPK, metrics=('Recall',), device=device)
    return scores.pessimistic


def ours_on_a_gpu(vectors: Tensor, labels: np.ndarray) -> Recalls:
    """Count ranks there; the way to the GPU is part of it."""
    return ours(vectors, labels, 'cuda')


def faiss_index(vectors: Tensor, labels: np.ndarray) -> Recalls:
    """Search with ``IndexFlatIP``."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors.numpy())
    found = index.search(vectors.numpy(), min(max(TOPK) + 1, len(vectors)))[1]
    counts = sum(
        recalls_of_neighbours(found[i : i + 1024], i, labels) for i in range(0, len(found), 1024)
    )
    return named(counts, labels)


def metric_learning(vectors: Tensor, labels: np.ndarray) -> Recalls:
    """Use ``AccuracyCalculator``, with Recall@K added as its documents tell."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    def recall(k: int) -> Callable[..., float]:
        def calculate(self, knn_labels, query_labels, not_lone_query_mask, **kwargs):
            hits = (knn_labels[:, :k] == query_labels[:, None]).any(1)
            return hits[not_lone_query_mask].float().mean().item()

        return calculate

    methods = {f'calculate_Recall@{k}': recall(k) for k in TOPK}
    methods['requires_knn'] = lambda self: [*AccuracyCalculator.requires_knn(self), *names]
    names = [f'Recall@{k}' for k in TOPK]
    calculator = type('WithRecall', (AccuracyCalculator,), methods)(
        include=tuple(names), k=min(max(TOPK), len(vectors) - 1), device=torch.device('cpu')
    )
    return calculator.get_accuracy(vectors, torch.from_numpy(labels))


def torch_topk(vectors: Tensor, labels: np.ndarray) -> Recalls:
    """Multiply 1024 queries at a time and keep the best 1001."""
    counts = 0
    for start in range(0, len(vectors), 1024):
        s = vectors[start : start + 1024] @ vectors.T
        found = s.topk(min(max(TOPK) + 1, len(vectors)), dim=1).indices.numpy()
        counts = counts + recalls_of_neighbours(found, start, labels)
    return named(counts, labels)


def host(vectors: Tensor, labels: np.ndarray) -> Recalls:
    """Compute what MMPretrain's ``ImageToImageRetriever`` does, for a few queries."""
    from mmpretrain.models import ImageToImageRetriever

    retriever = ImageToImageRetriever(torch.nn.Identity(), prototype=vectors)
    s = retriever.similarity_fn(vectors[:HOST_QUERIES], vectors)
    s.sort(dim=1, descending=True)
    return {}


METHODS: dict[str, Callable[[Tensor, np.ndarray], Recalls]] = {
    'ours': ours,
    'faiss IndexFlatIP': faiss_index,
    'PML AccuracyCalculator': metric_learning,
    'torch matmul + topk': torch_topk,
    'MMPretrain, extrapolated': host,
}


if torch.cuda.is_available():
    METHODS['ours on a GPU'] = ours_on_a_gpu


def memory(name: str) -> float:
    """Return the resident memory, ``VmRSS`` or its peak ``VmHWM``, in GB; NaN off Linux."""
    try:
        status = Path('/proc/self/status').read_text()
    except OSError:
        return float('nan')
    return int(status.split(f'{name}:')[1].split()[0]) * 1024 / 1e9


def measure(pipe: Connection, method: str, n: int, dims: int) -> None:
    """Run one method, after a small run that loads its libraries, and send what it took."""
    call = METHODS[method]
    warnings.filterwarnings('ignore', message='Fail to import')  # of mmcv-lite, on import
    vectors, labels = make_data(n, dims)
    few = min(n, 1200)
    call(vectors[:few].clone(), np.arange(few) // 2)
    if os.access('/proc/self/clear_refs', os.W_OK):
        Path('/proc/self/clear_refs').write_text('5')  # forget the peak so far
    before = memory('VmRSS')
    start, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    recalls = call(vectors, labels)
    seconds, end = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    spent = end.ru_utime + end.ru_stime - cpu.ru_utime - cpu.ru_stime
    factor = n / HOST_QUERIES if call is host else 1
    pipe.send(
        dict(
            method=method,
            seconds=factor * seconds,
            cpu=factor * spent,
            extra=memory('VmHWM') - before,
            recalls={name: 100 * value for name, value in recalls.items()},
        )
    )


def run(method: str, n: int, dims: int) -> dict:
    """Measure in a process of its own."""
    context = get_context('spawn')
    ours_end, theirs = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(theirs, method, n, dims))
    process.start()
    theirs.close()
    try:
        result = ours_end.recv()
    except EOFError:
        raise SystemExit(f'{method} failed, see above') from None
    process.join()
    return result


def report(result: dict, first: dict) -> str:
    """Return one line of the table."""
    shown = '/'.join(f'{value:.3f}' for value in result['recalls'].values()) or '-'
    return (
        f'{result["method"]:<25} {result["seconds"]:>10.2f} {result["cpu"]:>10.1f} '
        f'{result["extra"]:>9.2f} {result["seconds"] / first["seconds"]:>8.2f}  {shown}'
    )


def judge(results: Sequence[dict]) -> list[str]:
    """Compare with the goals: the recalls of faiss, in less time, in little memory."""
    by_name = {result['method']: result for result in results}
    own, other = by_name['ours'], by_name['faiss IndexFlatIP']
    apart = max(abs(own['recalls'][k] - value) for k, value in other['recalls'].items())
    goals = {
        f'recalls differ from those of faiss by {apart:.4f} percent at most': apart < 0.01,
        'faster than faiss': own['seconds'] < other['seconds'],
        f'extra memory below {MOST_EXTRA} GB': not own['extra'] >= MOST_EXTRA,
    }
    return [f'  {"reached" if good else "MISSED "}  {goal}' for goal, good in goals.items()]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    args = parse_args(argv)
    print(f'torch {torch.__version__}, numpy {np.__version__}, {torch.get_num_threads()} threads')
    table = {}
    for size in args.sizes:
        n, dims = map(int, size.split('x'))
        print(f'\n{size:<25}    seconds        CPU  extra GB    ratio  Recall@1/10/100/1000')
        results: list[dict] = []
        for method in METHODS:
            results.append(run(method, n, dims))
            print(report(results[-1], results[0]), flush=True)
        print(*judge(results), sep='\n', flush=True)
        table[size] = results
    print(f'\nMMPretrain: {HOST_QUERIES} queries, times multiplied; extra GB of these alone')
    if args.out:
        args.out.write_text(json.dumps(table, indent=1))


if __name__ == '__main__':
    main(sys.argv[1:])
