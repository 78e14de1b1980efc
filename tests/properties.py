"""Check a property with generated examples: a few in the fast tests, many in the slow ones."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from torch import Tensor
from torch.torch_version import TorchVersion

# Hypothesis would read the constants in all files of the package and keep them in .hypothesis:
# that takes seconds, and the examples would change with the code.
providers.is_local_module_file = lambda path: False

FEW, MANY = 3, 30
# on a CPU torch computes in float16 since 2.4
HALVES = [torch.bfloat16, torch.float16][: 2 if torch.__version__ >= TorchVersion('2.4') else 1]
AUTOCAST = st.sampled_from([None, *HALVES])
TRIED: set[str] = set()  # components that a test of properties runs over
SEEDS = st.integers(0, 2**32 - 1)
tiers = pytest.mark.parametrize(
    'examples',
    [pytest.param(FEW, id='few'), pytest.param(MANY, id='many', marks=pytest.mark.slow)],
)


def over(table: Mapping[str, Any]):
    """Run a test for each component of a table, in both tiers."""
    TRIED.update(table)
    names = pytest.mark.parametrize('name', sorted(table))
    return lambda test: tiers(names(test))


def holds(check: Callable[..., None], examples: int, **strategies: st.SearchStrategy) -> None:
    """Check a property with the same examples in each run, and write nothing to disk."""
    run = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run(given(**strategies)(check))()


def precision(dtype: torch.dtype | None):
    """Return an autocast context, or none (float32) if there is no dtype."""
    return nullcontext() if dtype is None else torch.autocast('cpu', dtype)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def thread_counts(examples: int) -> tuple[int, ...]:
    """Return the numbers of threads to compute with; two threads need the slow tests' time."""
    return (1, 1) if examples == FEW else (1, 1, 2)


def repeats(compute: Callable[[], Tensor], examples: int, atol: float = 1e-5) -> Tensor:
    """Compute again with the same seed, in the slow tests also with two threads."""
    results = []
    for number in thread_counts(examples):
        torch.manual_seed(0)
        with threads(number):
            results.append(compute())
    assert torch.equal(results[0], results[1])
    torch.testing.assert_close(results[-1], results[0], rtol=1e-4, atol=atol)
    return results[0]


def check_gradients(loss: Tensor, *inputs: Tensor, module: torch.nn.Module | None = None) -> None:
    """Check that all gradients are finite and reach the inputs, even those of an empty batch."""
    params = [p for p in module.parameters() if p.requires_grad] if module else []
    loss.backward()
    assert all(x.grad is not None for x in inputs)
    grads = [x.grad for x in (*inputs, *params) if x.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)
    for param in params:
        param.grad = None
