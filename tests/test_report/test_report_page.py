"""The page of a training: numbers, escaping, size, several trainings."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from vit_plugins import Classifier
from vit_plugins.evaluation.functional.statistics import wilson_interval
from vit_plugins.report.cell_photos import importance
from vit_plugins.report.curves import Curves
from vit_plugins.report.findings import find_out
from vit_plugins.report.inside import Inside
from vit_plugins.report.neighbours import Neighbours
from vit_plugins.report.page import render_page, write_page
from vit_plugins.report.predictions import Predictions
from vit_plugins.report.work_dir import read_run

VOID = {'meta', 'img', 'br', 'link', 'input', 'hr'}


class Reader(HTMLParser):
    """Collects tags and text, and checks that tags are closed in the correct order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ('script', 'style'):
            self.words.append(data)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


@pytest.fixture(scope='module')
def html(found):
    return render_page(found[:1])


def page_data(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])


def test_numbers_are_those_of_the_model_on_the_files(found, work_dirs, html):
    (one, _) = found
    files = [image.key for image in one.images]
    chances = Classifier(work_dirs[0], device='cpu').probabilities(files)
    np.testing.assert_allclose(one.predictions.probabilities, chances, atol=1e-6)
    labels = [one.classes.index(file.split('/')[-2]) for file in files]
    right = int((chances.argmax(1) == labels).sum())
    low, high = wilson_interval(right, 6)
    text = read(html).text
    assert f'{100 * right / 6:.1f} % of 6 validation images of 3 classes are named rightly' in text
    assert f'{100 * low:.1f} to {100 * high:.1f}' in text
    assert 'largest class without a network 33.3 %' in text
    assert '24 to train on, 6 to validate' in text
    assert one.train_counts == [8, 8, 8]
    assert 'colour histogram + extra trees without a network 50.0 %' in text


def test_names_of_classes_and_files_are_text(html):
    reader = read(html)
    assert [tag for tag, _ in reader.tags].count('script') == 2  # data and program
    assert '<script>alert(1)<' in reader.text
    assert 'cat & "dog"' in reader.text
    assert 'vit-plugins train tiny <b>' in reader.text
    assert page_data(html)['classes'] == [['<script>alert(1)<', 'cat & "dog"', 'ox']]
    assert all(attrs.get('alt') for tag, attrs in reader.tags if tag == 'img')


def test_the_page_needs_nothing_else(html):
    for tag, attrs in read(html).tags:
        for name in ('src', 'href'):
            address = attrs.get(name) or '#'
            assert address.startswith(('#', 'data:image/')), (tag, address)
    assert 'url(' not in html
    assert 'import' not in html[html.index('<script>\n') :]


def test_each_image_is_in_the_data_with_its_cell(found, html):
    said = found[0].predictions
    rows = page_data(html)['runs'][0]
    assert sorted((label, named) for _, label, named, _, _ in rows) == sorted(
        zip(said.labels.tolist(), said.named.tolist(), strict=True)
    )
    assert {number for number, *_ in rows} == set(range(6))
    wrong = [label != named for _, label, named, _, _ in rows]
    assert wrong == sorted(wrong, reverse=True)  # mistakes come first
    assert len(set(importance(said))) == 6


def test_curves_gates_and_facts_are_shown(html):
    reader = read(html)
    titles = re.findall(r'<figcaption>(.+?)</figcaption>', html)
    assert {'Validation', 'Training loss', 'F1 of each class', 'Learning rate'} <= set(titles)
    assert 'Untrained ones begin at 0.73.' in reader.text
    assert 'content: 0 position: 1 layer 1 0.73' in reader.text  # not trained
    assert 'attention rollout of the class token' in reader.text
    assert 'ConViT' in reader.text
    assert 'torch 2.1' in reader.text
    assert 'epoch_2.pth' in reader.text


def test_every_link_leads_somewhere_and_no_id_is_twice(found):
    reader = read(render_page(found))
    ids = [attrs['id'] for _, attrs in reader.tags if 'id' in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs['href'][1:] for tag, attrs in reader.tags if tag == 'a'}
    assert links <= set(ids)


def test_trainings_side_by_side_share_pictures_and_are_paired(found, tmp_path):
    page = write_page(found, tmp_path / 'both.html')
    html = page.read_text(encoding='utf-8')
    data = page_data(html)
    assert len(data['images']) == 6
    assert [len(rows) for rows in data['runs']] == [6, 6]
    text = read(html).text
    first, second = (one.predictions.right for one in found)
    gained, lost = (second & ~first).sum(), (first & ~second).sum()
    assert f'{100 * (gained - lost) / 6:+.1f} points' in text
    assert f'{gained} won, {lost} lost' in text
    assert [file.name for file in tmp_path.iterdir()] == ['both.html']


def test_photos_that_are_gone_leave_the_rest(work_dirs, tmp_path):
    run = read_run(work_dirs[0])
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        run.cfg[loader].dataset.data_root = str(tmp_path / 'gone')
    less = find_out(run, 'cpu')
    assert less.predictions is None
    text = read(render_page([less])).text
    assert 'The validation images could not be read' in text
    assert 'Curves' in text
    assert 'Surest mistakes' not in text


def test_of_many_classes_the_confused_pairs_are_listed(found):
    rng = np.random.default_rng(0)
    number = 30
    said = Predictions(rng.dirichlet(np.ones(number), 6), rng.integers(0, number, 6))
    names = tuple(f'kind {i}' for i in range(number))
    many = replace(found[0], predictions=said, classes=names, train_counts=(), inside=Inside())
    reader = read(render_page([many]))
    buttons = [attrs for tag, attrs in reader.tags if tag == 'button']
    assert 'matrix' not in [attrs.get('class') for _, attrs in reader.tags]
    assert {(int(b['data-label']), int(b['data-named'])) for b in buttons} == {
        (i, j) for i, j in zip(said.labels, said.named, strict=True) if i != j
    }


def test_a_retriever_shows_what_its_queries_find(found):
    labels = np.array([0, 0, 1, 1, 2, 2])
    near = Neighbours(
        queries=np.arange(6),
        found=np.array([[1, 2], [2, 0], [3, 0], [2, 1], [5, 0], [4, 0]]),
        cosines=np.full((6, 2), 0.5),
        labels=labels,
    )
    curves = Curves(
        metrics={'retrieval/Recall@1': [(2, 80.0)]}, before={'raw_pixels/Recall@1': 12.5}
    )
    run = replace(found[0].run, curves=curves)
    one = replace(found[0], run=run, predictions=None, neighbours=near, inside=Inside())
    reader = read(render_page([one]))
    assert 'for 83.3 % of 6 queries the most similar image is of the same class' in reader.text
    assert 'retrieval/Recall@1 80.00 12.50 –' in reader.text
    frames = [attrs['class'] for tag, attrs in reader.tags if 'photo' in attrs.get('class', '')]
    assert frames[:3] == ['photo ', 'photo wrong', 'photo right']  # the mistake comes first
    assert frames.count('photo right') == near.right.sum()
