"""Ranked results: JSON, sheets and the page."""

import json
import os
import re
import shutil
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets.photo_decoding import decode_photo
from vit_plugins.inference import search_page
from vit_plugins.inference.downloading import DownloadError
from vit_plugins.inference.gallery import Gallery, Photo, Source
from vit_plugins.inference.search import Answer, Match, answer_queries
from vit_plugins.inference.search_page import STYLE, write_json, write_page, write_sheets
from vit_plugins.visualization.sheets import crossed_tile


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


class Page(HTMLParser):
    """A page as a list of tags with attributes; end tags are checked while it is read."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.open = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture
def sent(gallery, tmp_path):
    """Write a page, move its folder away from the photos, and read it there."""
    queries = [photo.path for photo in gallery.photos]
    photos = gallery.photos
    Path(photos[3].path).unlink()
    found = (Match(0.9, photos[1], (Match(0.8, photos[2]),)), Match(0.3, photos[3]))
    answers = [Answer(queries[0], found), Answer(queries[1], (Match(0.9, photos[0]),))]
    answers.append(Answer(queries[2]))
    write_page(answers, tmp_path / 'out', '3 searched')
    shutil.rmtree(Path(queries[0]).parent)
    folder = (tmp_path / 'out').rename(tmp_path / 'received')
    text = (folder / 'index.html').read_text(encoding='utf-8')
    return folder, text, Page(text)


def test_the_page_can_be_sent(sent):
    folder, text, page = sent
    ids = [attributes['id'] for _, attributes in page.tags if 'id' in attributes]
    assert len(ids) == len(set(ids))
    links = [a['href'] for a in page.all('a')] + [i['src'] for i in page.all('img')]
    assert len(links) == 1 + 3 + 2 * 7  # to the results, to the queries, two for each figure
    for link in links:
        if link.startswith('#'):
            assert link[1:] in ids
        else:
            assert not urlsplit(link).scheme
            assert not link.startswith('/')
            assert Image.open(folder / link).size
    assert str(folder.parent) not in text  # nor does it say where the photos lay
    assert text.count('the file is gone') == 1


def test_the_page_is_for_everybody(sent):
    _, text, page = sent
    assert text.startswith('<!doctype html>')
    assert page.all('html') == [{'lang': 'en'}]
    assert {'charset': 'utf-8'} in page.all('meta')
    viewport = {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'}
    assert viewport in page.all('meta')
    alts = [image['alt'] for image in page.all('img')]
    assert alts[0] == 'query: photos & <more>/0.jpg'
    assert alts[1] == '1: 0.900: photos & <more>/1.jpg'
    assert all(alts)
    headings = [tag for tag, _ in page.tags if re.fullmatch(r'h\d', tag)]
    assert headings == ['h1', 'h2', 'h2', 'h2']
    # what can be clicked can be reached with the keyboard, in the order of the page
    assert not any('tabindex' in a or 'onclick' in a for _, a in page.tags)
    assert page.tags.index(('a', {'class': 'skip', 'href': '#results'})) < 8
    assert page.all('main') == [{'id': 'results'}]
    labels = [section['aria-labelledby'] for section in page.all('section')]
    assert labels == [heading['id'] for heading in page.all('h2')]
    assert 'prefers-color-scheme:dark' in text
    assert 'color-scheme:light dark' in text
    assert ':focus-visible' in text
    assert '<summary>1 more alike</summary>' in text
    assert 'The gallery holds no other photo.' in text


def _luminance(colour):
    """Return the relative luminance of WCAG 2.1 of #rgb or #rrggbb."""
    digits = colour if len(colour) == 6 else ''.join(2 * digit for digit in colour)
    values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_frames_stand_out_in_light_and_dark():
    palettes = [dict(re.findall(r'--(\w+):#(\w+)', part)) for part in STYLE.split('@media')]
    assert len(palettes) == 2
    for palette in palettes:
        for name, least in (('text', 7), ('frame', 3)):  # WCAG: 1.4.6 and 1.4.11
            light, dark = sorted(map(_luminance, (palette[name], palette['back'])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least


def test_odd_names_and_photos(tmp_path):
    names = [os.fsdecode(b'caf\xe9.png'), '<i>\x1b\n"&.png', 'thin.png', 'deep.png', 'alpha.png']
    Image.new('RGB', (5, 5), (9, 99, 200)).save(tmp_path / 'x.png')
    for name in names[:2]:
        (tmp_path / name).write_bytes((tmp_path / 'x.png').read_bytes())
    Image.new('RGB', (2000, 20)).save(tmp_path / 'thin.png')
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
    write_sheets(answers, tmp_path)
    thumbnails = re.findall(r'src="(thumbnails/\w+\.jpg)"', page)[1:]
    sizes = [Image.open(tmp_path / name).size for name in thumbnails]
    assert sizes[2] == (320, 3)
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
    (view,) = (tmp_path / 'photos').iterdir()
    assert Image.open(view).size == (640, 480)
    small = np.asarray(Image.open(thumbnail)).astype(float)
    seen, _ = decode_photo((tmp_path / 'x.jpg').read_bytes())
    seen = np.asarray(Image.fromarray(seen[..., ::-1]).resize((320, 240))).astype(float)
    assert small.shape == seen.shape
    assert np.abs(small - seen).mean() < 3


def test_a_query_behind_an_address_is_shown(gallery, tmp_path, monkeypatch):
    fetched = []

    @contextmanager
    def downloaded(address):
        fetched.append(address)
        if address.endswith('gone.jpg'):
            raise DownloadError('the server answers 404 Not Found')
        yield Path(gallery.photos[0].path)

    monkeypatch.setattr(search_page, 'downloaded', downloaded)
    found = (Match(0.5, gallery.photos[1]),)
    addresses = ('https://x.org/a.jpg', 'https://x.org/gone.jpg')
    answers = [Answer(address, found) for address in addresses]
    page = Page(write_page(answers, tmp_path / 'out', 'x').read_text(encoding='utf-8'))
    write_sheets(answers, tmp_path / 'out')
    shown = [np.asarray(Image.open(tmp_path / 'out' / i['src'])) for i in page.all('img')]
    assert shown[0].std() > 20
    tile = np.asarray(crossed_tile(320), np.float32)
    assert np.abs(shown[2] - tile).mean() < 3
    assert [i['alt'] for i in page.all('img')][::2] == [
        'query: x.org/a.jpg',
        'query: x.org/gone.jpg',
    ]
    assert fetched.count(addresses[0]) == 1


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
