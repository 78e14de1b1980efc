import pytest
import torch

from vit_plugins.evaluation.functional.hard_negatives import mine_hard_negatives


def mine_slowly(queries, pool, query_models, pool_models, count):
    """Return the first images of each ranking whose 3D model did not occur before."""
    chosen = []
    for query, model in zip(queries.tolist(), query_models.tolist(), strict=True):
        scores = [sum(a * b for a, b in zip(query, image, strict=True)) for image in pool.tolist()]
        ranking = sorted(range(len(pool)), key=lambda i: -scores[i])
        met, taken = {model}, []
        for place in ranking:
            if pool_models[place].item() not in met and len(taken) < count:
                taken.append(place)
                met.add(pool_models[place].item())
        chosen.append(taken)
    return torch.tensor(chosen)


@pytest.mark.parametrize(('count', 'chunk'), [(1, 256), (5, 256), (5, 3), (7, 1)])
def test_equals_a_walk_down_the_ranking(count, chunk):
    generator = torch.Generator().manual_seed(count)
    queries = torch.randn(10, 6, generator=generator, dtype=torch.float64)
    pool = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    query_models = torch.randint(9, (10,), generator=generator)
    pool_models = torch.randint(9, (40,), generator=generator)
    data = (queries, pool, query_models, pool_models, count)
    assert torch.equal(mine_hard_negatives(*data, chunk), mine_slowly(*data))


def test_of_equal_ones_the_first():
    pool = torch.ones(4, 2)
    found = mine_hard_negatives(pool[:1], pool, torch.tensor([0]), torch.tensor([0, 1, 1, 2]), 2)
    assert found.tolist() == [[1, 3]]


def test_too_few_models():
    pool = torch.randn(6, 2)
    models = torch.tensor([0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match='only 2 other 3D models in the pool of 6 images, 3 are'):
        mine_hard_negatives(pool[:1], pool, models[:1], models, 3)
