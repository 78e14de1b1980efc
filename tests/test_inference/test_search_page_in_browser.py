"""The search page in Chromium at three widths: no overflow, and everything is reachable."""

import numpy as np
import pytest
from PIL import Image

from vit_plugins.inference.gallery import Photo
from vit_plugins.inference.search import Answer, Match
from vit_plugins.inference.search_page import write_page

pytestmark = pytest.mark.slow

WIDTHS = {'phone': 360, 'tablet': 768, 'desktop': 1440}


@pytest.fixture(scope='module')
def page_file(tmp_path_factory):
    """Write a page of two queries, with a long name, a tall photo and near-duplicates."""
    folder = tmp_path_factory.mktemp('page')
    rng = np.random.default_rng(0)
    photos = []
    for i, size in enumerate([(60, 40), (20, 90), (50, 50), (64, 20), (40, 40), (30, 45)]):
        file = folder / f'{"a_long_name_without_any_space_" * 3 if i == 1 else "photo"}{i}.jpg'
        pixels = rng.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).resize(size).save(file)
        photos.append(Photo.of(file))
    first, *others = (Match(1 - 0.1 * i, photo) for i, photo in enumerate(photos))
    found = (others[0], others[1]._replace(alike=(others[2], others[3])), others[4])
    answers = [Answer(first.path, found), Answer(others[0].path, (first,))]
    return write_page(answers, folder / 'out', '2 searched in my_gallery')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', WIDTHS.values(), ids=WIDTHS)
def test_page(browser, page_file, width, scheme, tmp_path):
    view = {'width': width, 'height': 800}
    phone = width < 600  # it shrinks pages that do not say how wide they are
    page = browser.new_page(viewport=view, color_scheme=scheme, is_mobile=phone)
    errors = []
    page.on('pageerror', lambda error: errors.append(error))  # a bound method is refused
    page.on('requestfailed', lambda request: errors.append(request.url))
    page.goto(page_file.as_uri())
    assert page.evaluate('document.documentElement.scrollWidth') <= width  # no sideways scrolling
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_function('[...document.images].every(i => i.complete && i.naturalWidth > 0)')
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('section ol')).gridTemplateColumns.split(' ')"
    )
    assert len(columns) == {360: 2, 768: 4, 1440: 8}[width]
    size = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('figcaption')).fontSize)"
    )
    assert size >= 14
    back = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert back == {'light': 'rgb(255, 255, 255)', 'dark': 'rgb(22, 22, 22)'}[scheme]
    reached = []
    for _ in range(9):  # skip link, list of queries, five pictures, duplicates, second query
        page.keyboard.press('Tab')
        reached.append(page.evaluate('document.activeElement.tagName'))
        outline = page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
        assert outline == 'solid'  # one sees where one is
    assert reached == ['A', 'SUMMARY', 'A', 'A', 'A', 'SUMMARY', 'A', 'A', 'A']
    page.screenshot(path=tmp_path / f'{scheme}_{width}.png', full_page=True)
    shown = np.asarray(Image.open(tmp_path / f'{scheme}_{width}.png').convert('RGB'))
    assert shown.shape[1] == width
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 1000  # the photos are there
    page.locator('section summary').click()
    assert page.locator('section details img').first.is_visible()
    page.locator('section a').first.click()
    page.wait_for_url('**/photos/*.jpg')
    assert errors == []
    page.close()
