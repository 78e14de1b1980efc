"""The page of a training in Chromium: no missing part, no overflow, usable by keyboard."""

import pytest

from vit_plugins.report.page import write_page

pytestmark = pytest.mark.slow
WIDTHS = {'phone': 360, 'tablet': 768, 'desktop': 1440}


@pytest.fixture(scope='module')
def page_file(found, tmp_path_factory):
    return write_page(found, tmp_path_factory.mktemp('page') / 'report.html')


@pytest.fixture
def opened(browser, page_file):
    """Open the page at a width; at the end, check that there was no error."""
    errors, pages = [], []

    def open_page(width=1440, scheme='light', **settings):
        view = {'width': width, 'height': 800}
        page = browser.new_page(
            viewport=view, color_scheme=scheme, is_mobile=width < 600, **settings
        )
        pages.append(page)
        page.on('pageerror', lambda error: errors.append(error))  # a bound method is refused
        page.on('requestfailed', lambda request: errors.append(request.url))
        page.on('console', lambda told: errors.append(told.text) if told.type == 'error' else 0)
        page.on('request', lambda asked: asked.url.startswith('http') and errors.append(asked.url))
        page.goto(page_file.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', WIDTHS.values(), ids=WIDTHS)
def test_all_is_there_and_nothing_runs_over(opened, width, scheme):
    page = opened(width, scheme)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    page.wait_for_function('[...document.images].every(i => i.complete && i.naturalWidth > 0)')
    assert page.locator('img').count() > 12
    sizes = page.evaluate(
        "[...document.querySelectorAll('p, td, th, dd, figcaption, li')]"
        '.map(node => parseFloat(getComputedStyle(node).fontSize))'
    )
    assert min(sizes) >= 14
    back = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert back == {'light': 'rgb(247, 246, 243)', 'dark': 'rgb(18, 21, 24)'}[scheme]


def test_a_cell_opens_its_photos(opened, found):
    page = opened()
    rows = found[0].predictions
    for label, named, count in {
        (int(i), int(j), int(((rows.labels == i) & (rows.named == j)).sum()))
        for i, j in zip(rows.labels, rows.named, strict=True)
    }:
        cell = page.locator(f'#run-0 .matrix [data-label="{label}"][data-named="{named}"]')
        assert cell.inner_text() == str(count)
        cell.click()
        assert page.locator('#run-0-opened img').count() == count
        assert cell.get_attribute('aria-pressed') == 'true'
        assert f'{count} of {found[0].classes[label]}' in page.inner_text('#run-0-opened h4')


def test_arrows_walk_through_the_matrix_and_the_charts(opened):
    page = opened()
    page.locator('#run-0 .matrix button[tabindex="0"]').focus()
    start = page.evaluate('document.activeElement.closest("td").cellIndex')
    page.keyboard.press('ArrowDown')
    page.keyboard.press('ArrowUp')
    assert page.evaluate('document.activeElement.closest("td").cellIndex') == start
    page.keyboard.press('Enter')
    assert page.evaluate('document.activeElement.getAttribute("aria-pressed")') == 'true'
    chart = page.locator('#run-0-curves .chart').first
    chart.locator('svg[tabindex]').focus()
    assert page.evaluate('getComputedStyle(document.activeElement).outlineStyle') == 'solid'
    page.keyboard.press('ArrowLeft')
    assert chart.locator('.at').inner_text() == 'at epoch 1'
    assert chart.locator('.legend b').all_inner_texts() == ['40', '35']
    page.keyboard.press('Tab')
    assert chart.locator('.legend b').all_inner_texts() == ['60', '55']


def test_the_pointer_reads_a_chart(opened):
    page = opened()
    chart = page.locator('#run-0-curves .chart').first
    chart.scroll_into_view_if_needed()
    box = chart.locator('svg[tabindex]').bounding_box()
    page.mouse.move(box['x'] + box['width'] * 0.2, box['y'] + box['height'] / 2)
    assert chart.locator('.at').inner_text() == 'at epoch 1'
    page.mouse.move(0, 0)
    assert chart.locator('.at').inner_text() == 'last epoch'


def test_without_javascript_all_but_the_cells_is_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator('.photo img').count() > 12
    assert page.locator('noscript').first.is_visible()


def test_it_prints(opened):
    page = opened(scheme='dark')
    page.emulate_media(media='print')
    assert not page.locator('nav').is_visible()
    back = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert back == 'rgb(255, 255, 255)'
    assert page.pdf()[:4] == b'%PDF'
