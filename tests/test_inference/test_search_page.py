"""Ranked results: JSON, sheets and the page."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets.photo_decoding import decode_photo
from vit_plugins.inference import search_page
from vit_plugins.inference.gallery import Gallery, Photo, Source
from vit_plugins.inference.search import Answer, Match, answer_queries
from vit_plugins.inference.search_page import write_json, write_page, write_sheets


@pytest.fixture
def gallery(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / 'photos & <more>'
    folder.mkdir()
    gallery = Gallery(tmp_path / 'g', Source('w', 's'))
    for i in range(4):
        path = folder / f'{i}.jpg'
        Image.fromarray(rng.integers(0, 255, (30, 60 + i, 3), np.uint8)).save(path)
        gallery.add([Photo.of(path)], np.eye(4, dtype='float32')[[i]])
    return gallery


def test_a_query_of_the_gallery_does_not_find_itself(gallery, monkeypatch, tmp_path):
    paths = [photo.path for photo in gallery.photos]
    vectors = np.float32([[0.9, 0.3, 0.2, 0.1], [0.9, 0.3, 0.2, 0.1]])
    monkeypatch.chdir(tmp_path)
    relative = 'photos & <more>/0.jpg'
    inside, outside = answer_queries(gallery, [relative, '/other/0.jpg'], vectors, 2)
    assert [match.path for match in inside.found] == paths[1:3]
    assert [match.path for match in outside.found] == paths[:2]
    assert inside.found[0][0] == pytest.approx(0.3)


def test_json_page_and_sheets(gallery, tmp_path):
    queries = [photo.path for photo in gallery.photos] * 6  # 24: two sheets
    answers = answer_queries(gallery, queries, np.tile(np.eye(4, dtype='float32'), (6, 1)), 3)
    (tmp_path / 'photos & <more>' / '3.jpg').unlink()  # gone since it was indexed
    out = tmp_path / 'out'
    out.mkdir()
    write_json(answers, [('bad.jpg', 'empty')], {'gallery': 'g'}, out / 'results.json')
    report = json.loads((out / 'results.json').read_text())
    assert (report['gallery'], len(report['queries'])) == ('g', 24)
    assert report['unreadable'] == [{'image': 'bad.jpg', 'reason': 'empty'}]
    ranks = [result['rank'] for result in report['queries'][0]['results']]
    assert ranks == [1, 2, 3]
    sheets = write_sheets(answers, out)
    assert [sheet.name for sheet in sheets] == ['sheet_001.png', 'sheet_002.png']
    first, second = (Image.open(sheet).size for sheet in sheets)
    assert first[0] == second[0] == 4 * 172  # the query and three results
    assert first[1] == 5 * second[1]  # twenty rows and four
    page = write_page(answers, out, 'a <title>').read_text()
    assert '<title>a &lt;title&gt;</title>' in page
    assert 'photos &amp; &lt;more&gt;/0.jpg' in page
    shown = re.findall(r'src="(thumbnails/\w+\.jpg)"', page)
    assert len(shown) == 24 * 4
    assert all((out / name).is_file() for name in shown)
    assert page.count('class="query"') == 24


def test_odd_names_and_photos(tmp_path):
    names = [os.fsdecode(b'caf\xe9.png'), '<i>\x1b\n"&.png', 'thin.png', 'deep.png', 'alpha.png']
    Image.new('RGB', (5, 5), (9, 99, 200)).save(tmp_path / 'x.png')
    for name in names[:2]:
        (tmp_path / name).write_bytes((tmp_path / 'x.png').read_bytes())
    Image.new('RGB', (2000, 1)).save(tmp_path / 'thin.png')
    Image.fromarray(np.full((9, 9), 2048, np.uint16)).save(tmp_path / 'deep.png')
    Image.new('RGBA', (9, 9), (0, 0, 0, 51)).save(tmp_path / 'alpha.png')
    photos = [Photo.of(tmp_path / name) for name in names]
    answers = [Answer(photos[0].path, tuple(Match(float('nan'), p) for p in photos))]
    write_json(answers, [(photos[0].path, 'why')], {}, tmp_path / 'r.json')
    assert 'NaN' not in (tmp_path / 'r.json').read_text()
    report = json.loads((tmp_path / 'r.json').read_text())
    results = report['queries'][0]['results']
    assert [result['image'] for result in results] == [photo.path for photo in photos]
    assert results[0]['similarity'] is None
    page = write_page(answers, tmp_path, photos[0].path).read_bytes().decode()
    assert r'caf\udce9.png' in page
    assert r'&lt;i&gt;\x1b\n&quot;&amp;.png' in page
    assert '/caf%E9.png"' in page  # the link leads to the file
    write_sheets(answers, tmp_path)
    thumbnails = re.findall(r'src="(thumbnails/\w+\.jpg)"', page)[1:]
    sizes = [Image.open(tmp_path / name).size for name in thumbnails]
    assert sizes[2] == (160, 1)
    deep, alpha = (np.asarray(Image.open(tmp_path / n)).mean() for n in thumbnails[3:])
    assert deep == pytest.approx(2048 / 4095 * 255, abs=1)
    assert alpha == pytest.approx(204, abs=1)


def test_thumbnails_are_what_the_model_sees(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (4, 3, 3), np.uint8)
    Image.fromarray(pixels).resize((1200, 1600)).save(tmp_path / 'x.jpg', exif=exif)
    write_page([Answer(str(tmp_path / 'x.jpg'), [])], tmp_path, 'x')
    (thumbnail,) = (tmp_path / 'thumbnails').iterdir()
    small = np.asarray(Image.open(thumbnail)).astype(float)
    seen, _ = decode_photo((tmp_path / 'x.jpg').read_bytes())
    seen = np.asarray(Image.fromarray(seen[..., ::-1]).resize((160, 120))).astype(float)
    assert small.shape == seen.shape
    assert np.abs(small - seen).mean() < 3


def test_a_photo_is_decoded_once_until_it_changes(gallery, tmp_path, monkeypatch):
    decoded, decode = [], search_page.decode_photo

    def counted(*args, **kwargs):
        decoded.append(args)
        return decode(*args, **kwargs)

    monkeypatch.setattr(search_page, 'decode_photo', counted)
    queries = [photo.path for photo in gallery.photos]
    answers = answer_queries(gallery, queries, np.eye(4, dtype='float32'), 3)
    write_page(answers, tmp_path, 'all')
    write_sheets(answers, tmp_path)
    assert len(decoded) == 4  # of 16 figures and as many cells
    name = re.search(r'src="(thumbnails/\w+\.jpg)"', (tmp_path / 'index.html').read_text())[1]
    Image.new('RGB', (20, 10), (250, 0, 0)).save(queries[0])
    write_page(answers, tmp_path, 'again')
    assert len(decoded) == 5
    assert np.asarray(Image.open(tmp_path / name)).mean((0, 1))[0] > 240
