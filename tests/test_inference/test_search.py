"""Groups of near-duplicates, and the steps that bring a gallery up to date."""

import numpy as np
import pytest

from vit_plugins.inference.gallery import Gallery, Photo, Source
from vit_plugins.inference.indexing import plan_index, within
from vit_plugins.inference.search import answer_queries


def directions(degrees):
    angles = np.radians(degrees)
    return np.float32(np.stack([np.cos(angles), np.sin(angles)], axis=1))


@pytest.mark.parametrize('kind', ['exact', 'approximate'])
def test_groups_are_whole_however_large(tmp_path, kind):
    # a hundred photos within four degrees of the query, then three alone, ten degrees apart
    degrees = [*np.linspace(0.5, 4, 100), 11, 22, 33]
    gallery = Gallery(tmp_path, Source('w', 's'), kind)
    photos = [Photo(f'/{i}.jpg', 0, 0) for i in range(103)]
    gallery.add(photos, directions(degrees))
    query = directions([0])
    alike = np.cos(np.radians(5))
    (answer,) = answer_queries(gallery, ['/q.jpg'], query, 3, group_above=alike)
    assert [match.path for match in answer.found] == ['/0.jpg', '/100.jpg', '/101.jpg']
    assert [len(match.alike) for match in answer.found] == [99, 0, 0]
    similarities = [match.similarity for match in answer.found[0].alike]
    assert similarities == sorted(similarities, reverse=True)
    (answer,) = answer_queries(gallery, ['/0.jpg'], query, 9, group_above=alike)
    assert [match.path for match in answer.found] == [
        *('/1.jpg', '/100.jpg', '/101.jpg', '/102.jpg')
    ]
    assert len(answer.found[0].alike) == 98  # not itself
    (answer,) = answer_queries(gallery, ['/q.jpg'], query, 3)
    assert [match.path for match in answer.found] == ['/0.jpg', '/1.jpg', '/2.jpg']
    assert not any(match.alike for match in answer.found)


def test_a_plan_knows_what_changed_and_what_is_gone(tmp_path):
    for name in 'abc':
        (tmp_path / name).write_text(name)
    indexed = [Photo.of(tmp_path / name) for name in 'abc']
    indexed += [Photo(str(tmp_path / 'gone'), 1, 1), Photo('/elsewhere/gone', 1, 1)]
    (tmp_path / 'b').write_text('longer')
    (tmp_path / 'd').touch()
    images = [str(tmp_path / name) for name in 'abd'] * 2
    plan = plan_index(indexed, images, [str(tmp_path)])
    assert plan.add == [str(tmp_path / 'd')]
    assert plan.changed == [str(tmp_path / 'b')]
    assert plan.kept == [str(tmp_path / 'a')]  # c is not named
    assert plan.gone == [str(tmp_path / 'gone')]


def test_what_is_named(monkeypatch):
    monkeypatch.chdir('/')
    paths = ['/p/a.jpg', '/p/deep/b.jpg', '/pq/c.jpg']
    assert within(paths, ['p']) == paths[:2]
    assert within(paths, ['/p/']) == paths[:2]
    assert within(paths, ['/p/*.jpg', '/pq/c.jpg']) == paths
    assert within(paths, ['/p/?.jpg']) == ['/p/a.jpg']
    assert within(paths, ['/']) == paths
