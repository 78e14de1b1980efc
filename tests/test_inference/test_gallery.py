"""The gallery on disk: its search results, and its content after errors."""

import json
import os

import faiss
import numpy as np
import pytest

from vit_plugins.inference.gallery import Gallery, Photo, Source

SOURCE = Source('/weights.pth', 'ab' * 32)


def unit(rng, *shape):
    vectors = rng.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype('float32')


def photos(number, start=0):
    return [Photo(f'/photos/{i}.jpg', i, i) for i in range(start, start + number)]


@pytest.fixture
def vectors():
    return unit(np.random.default_rng(0), 300, 16)


@pytest.mark.parametrize('kind', ['exact', 'approximate'])
def test_finds_what_sorting_all_similarities_finds(tmp_path, vectors, kind):
    gallery = Gallery(tmp_path / 'g', SOURCE, kind)
    gallery.add(photos(200), vectors[:200])
    gallery.save()
    gallery = Gallery.load(tmp_path / 'g')
    gallery.add(photos(80, 200), vectors[200:280])  # appended to what was read
    similarities = vectors[280:] @ vectors[:280].T  # (20, 280)
    expected = np.argsort(-similarities, axis=1)[:, :10]
    found = gallery.search(vectors[280:], 10)
    hits = [[int(photo.path[8:-4]) for _, photo in row] for row in found]
    agreed = np.mean([len({*a} & {*b}) for a, b in zip(hits, expected.tolist(), strict=True)])
    assert agreed == 10 if kind == 'exact' else agreed > 9.5
    np.testing.assert_allclose(found[0][0][0], similarities[0].max(), atol=1e-6)


def test_top_k_beyond_the_gallery_and_an_empty_one(tmp_path, vectors):
    gallery = Gallery(tmp_path, SOURCE)
    assert gallery.search(vectors[:2], 5) == [[], []]
    gallery.add(photos(3), vectors[:3])
    assert [len(row) for row in gallery.search(vectors[:2], 5)] == [3, 3]


def test_round_trip_keeps_everything(tmp_path, vectors):
    gallery = Gallery(tmp_path / 'new' / 'g', SOURCE, 'approximate')
    odd = os.fsdecode(b'/photos/\xff.jpg')  # file names are bytes
    gallery.add([Photo(odd, 7, 8)], vectors[:1])
    gallery.save()
    loaded = Gallery.load(tmp_path / 'new' / 'g')
    assert (loaded.photos, loaded.source, loaded.kind) == (
        [Photo(odd, 7, 8)],
        SOURCE,
        gallery.kind,
    )
    assert repr(loaded) == f"Gallery('{tmp_path}/new/g', approximate, 1 photos)"


def test_a_run_killed_while_saving_leaves_the_state_before(tmp_path, vectors, monkeypatch):
    gallery = Gallery(tmp_path, SOURCE)
    gallery.add(photos(5), vectors[:5])
    gallery.save()
    gallery.add(photos(5, 5), vectors[5:10])
    monkeypatch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        gallery.save()
    monkeypatch.undo()
    assert len(Gallery.load(tmp_path).photos) == 5
    gallery.save()
    assert len(Gallery.load(tmp_path).photos) == 10
    assert [file.name for file in tmp_path.glob('*.npy')] == ['descriptors-3.npy']


def test_what_is_no_gallery_is_refused(tmp_path, vectors):
    with pytest.raises(ValueError, match=r'holds no gallery .*: make one with `index`'):
        Gallery.load(tmp_path)
    gallery = Gallery(tmp_path, SOURCE)
    gallery.add(photos(5), vectors[:5])
    gallery.save()
    file = tmp_path / 'gallery.json'
    about = json.loads(file.read_text())
    file.write_text(json.dumps({**about, 'photos': about['photos'][:3]}))
    with pytest.raises(ValueError, match='damaged: 5 descriptors of 3 photos'):
        Gallery.load(tmp_path)
    file.write_text(json.dumps(about))
    (tmp_path / about['descriptors']).unlink()
    with pytest.raises(ValueError, match=r'damaged: descriptors-1\.npy is missing'):
        Gallery.load(tmp_path)
    for name in ('../else.npy', '/etc/passwd'):
        file.write_text(json.dumps({**about, 'descriptors': name}))
        with pytest.raises(ValueError, match=f"damaged: '{name}' is not the name of a file"):
            Gallery.load(tmp_path)
    file.write_text(json.dumps({'format': 2}))
    with pytest.raises(ValueError, match=r"gallery\.json is damaged: KeyError\('source'\)"):
        Gallery.load(tmp_path)
    file.write_text(json.dumps({**about, 'format': 9}))
    with pytest.raises(ValueError, match='format 9, this version reads 2: update'):
        Gallery.load(tmp_path)
    file.write_text('{"for')
    with pytest.raises(ValueError, match=r'gallery\.json is no JSON: JSONDecodeError: Untermin'):
        Gallery.load(tmp_path)


def test_objects_in_the_place_of_numbers_are_refused(tmp_path, vectors):
    gallery = Gallery(tmp_path, SOURCE)
    gallery.add(photos(2), vectors[:2])
    gallery.save()
    np.save(tmp_path / 'descriptors-1.npy', np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r'damaged: .*-1\.npy .* holds objects'):
        Gallery.load(tmp_path)


def test_a_gallery_of_the_former_version_says_what_to_do(tmp_path):
    about = {'format': 1, 'source': {'checkpoint': '/w.pth', 'sha256': 's'}, 'photos': []}
    (tmp_path / 'gallery.json').write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r'ran the config in it\. Name the .*--config.* /w\.pth'):
        Gallery.load(tmp_path)
    for damaged in ({'format': 1, 'source': 'x'}, {'format': 1}, [1]):
        (tmp_path / 'gallery.json').write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match=r'gallery\.json is damaged'):
            Gallery.load(tmp_path)


@pytest.mark.parametrize('kind', ['exact', 'approximate'])
def test_a_gallery_of_the_former_version_is_converted(tmp_path, vectors, kind):
    make = {
        'exact': lambda: faiss.IndexFlatIP(16),
        'approximate': lambda: faiss.IndexHNSWFlat(16, 32, faiss.METRIC_INNER_PRODUCT),
    }
    index = make[kind]()
    index.add(vectors[:9])
    faiss.write_index(index, str(tmp_path / 'index-9.faiss'))
    about = {
        **{'format': 1, 'kind': kind, 'index': 'index-9.faiss'},
        'source': {'checkpoint': '/weights.pth', 'sha256': 'ab' * 32},
        'photos': [[p.path, p.size, p.mtime_ns] for p in photos(9)],
    }
    (tmp_path / 'gallery.json').write_text(json.dumps(about))
    Gallery.load(tmp_path, {'model': {}}).save()
    gallery = Gallery.load(tmp_path)
    np.testing.assert_array_equal(gallery.descriptors, vectors[:9])
    assert (gallery.photos, gallery.source, gallery.kind) == (photos(9), SOURCE, kind)
    assert gallery.settings == {'model': {}}
    assert gallery.search(vectors[3:4], 1)[0][0][1].path == '/photos/3.jpg'
    assert not (tmp_path / 'index-9.faiss').exists()


@pytest.mark.parametrize('kind', ['exact', 'approximate'])
def test_removed_photos_are_never_found_again(tmp_path, vectors, kind):
    gallery = Gallery(tmp_path, SOURCE, kind)
    gallery.add(photos(20), vectors[:20])
    gallery.search(vectors[:1], 1)
    assert gallery.remove({'/photos/3.jpg', '/photos/7.jpg', '/other'}) == 2
    gallery.add(photos(5, 20), vectors[20:25])
    gallery.save()
    gallery = Gallery.load(tmp_path)
    kept = [i for i in range(25) if i not in (3, 7)]
    found = [row[0][1].path for row in gallery.search(vectors[kept], 1)]
    assert found == [f'/photos/{i}.jpg' for i in kept]
    (row,) = gallery.search(vectors[3:4], 25)
    assert len(row) == 23
    assert gallery.remove([photo.path for photo in gallery.photos]) == 23
    gallery.save()
    assert Gallery.load(tmp_path).search(vectors[:1], 3) == [[]]
    assert [file.name for file in tmp_path.iterdir()] == ['gallery.json']


def test_a_graph_that_was_taken_away_is_made_again(tmp_path, vectors):
    gallery = Gallery(tmp_path, SOURCE, 'approximate')
    gallery.add(photos(20), vectors[:20])
    gallery.save()
    (tmp_path / 'graph-1.faiss').unlink()
    assert Gallery.load(tmp_path).search(vectors[4:5], 1)[0][0][1].path == '/photos/4.jpg'


def test_a_crafted_graph_is_made_again(tmp_path, vectors, caplog):
    gallery = Gallery(tmp_path, SOURCE, 'approximate')
    gallery.add(photos(50), vectors[:50])
    gallery.save()
    path = tmp_path / 'graph-1.faiss'
    content = bytearray(path.read_bytes())
    content[37:45] = (2**36).to_bytes(8, 'little')  # the length of its first list
    path.write_bytes(content)
    read = Gallery.load(tmp_path)
    assert read._graph is None
    assert [row[0][1] for row in read.search(vectors[:3], 1)] == photos(3)


def test_no_link_of_a_gallery_is_followed(tmp_path, vectors):
    folder, mine = tmp_path / 'g', tmp_path / 'mine'
    mine.write_bytes(b'mine')
    gallery = Gallery(folder, SOURCE, 'approximate')
    gallery.add(photos(20), vectors[:20])
    gallery.save()
    for name in ('descriptors-2.npy', 'gallery.json.part', 'graph-2.faiss'):
        (folder / name).symlink_to(mine)
    gallery = Gallery.load(folder)
    gallery.add(photos(5, 20), vectors[20:25])
    gallery.save()
    assert mine.read_bytes() == b'mine'
    assert len(Gallery.load(folder).photos) == 25
    for name in ('graph-2.faiss', 'descriptors-2.npy', 'gallery.json'):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        with pytest.raises(ValueError, match=f'{name} is a link: put the file itself'):
            Gallery.load(folder)


def test_refused_arguments(tmp_path, vectors):
    with pytest.raises(ValueError, match=r"one of .*, got 'fast'"):
        Gallery(tmp_path, SOURCE, 'fast')
    gallery = Gallery(tmp_path, SOURCE)
    with pytest.raises(ValueError, match=r'2 photos with descriptors \(3, 16\)'):
        gallery.add(photos(2), vectors[:3])
    gallery.add(photos(3), vectors[:3])
    with pytest.raises(ValueError, match='descriptors of 8 numbers in a gallery of 16'):
        gallery.add(photos(3), vectors[:3, :8])


def test_the_source_is_told_by_the_content_of_its_file(tmp_path):
    for name, content in (('a', b'x'), ('b', b'x'), ('c', b'y')):
        (tmp_path / name).write_bytes(content)
    a, b, c = (Source.of(tmp_path / name).sha256 for name in 'abc')
    assert a == b != c
    # SHA-256 of the letter x
    assert a == '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'


def test_folder_that_faiss_could_not_open(tmp_path):
    with pytest.raises(ValueError, match=r'/.udce9 is not UTF-8, or holds .*: choose another'):
        Gallery(tmp_path / os.fsdecode(b'\xe9'), Source('w', 's'))
