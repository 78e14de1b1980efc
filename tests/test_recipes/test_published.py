"""The published results on a page."""

from vit_plugins.recipes.published import fill_published, pairs, published, results_of


def test_numbers_stay_as_they_are_written(tmp_path):
    file = tmp_path / 'published.yml'
    file.write_text('net:\n  results: {net_1xb1: {svhn: 54.10, svhn@0.5: 40.0 fine-tuned}}')
    assert published(file)['net']['results']['net_1xb1']['svhn'] == '54.10'


def test_results_of_a_recipe_and_of_all():
    assert results_of('configs/drloc/swin-tiny_8xb128-100e.py')['svhn'] == '71.60'
    assert results_of('configs/convit_drloc_digits.py') == {}
    found = {pair[:3]: pair[3] for pair in pairs()}
    assert found['configs/drloc/swin-tiny_8xb128-100e.py', 'svhn', None] == '71.60'
    assert found['configs/convit/deit-small_8xb128_in1k.py', 'imagenet', 0.05] == '34.8'


def test_places_of_a_page():
    rows = (
        '<!-- published rows -->\n| recipe | epochs | top-1 |\n'
        '| [a](convit-small_8xb128_in1k.py) | 300 | ? |\n'
        '| [a](convit-small_8xb128_in1k.py) `--data imagenet --fraction 0.1` | 3000 | ? |\n'
        '| [a](nothing.py) | 3000 | ? |\n| without a link | 3000 | 4 |\n\n<!-- end -->'
    )
    filled = fill_published(rows, 'convit').splitlines()
    assert [line.split('|')[-2].strip() for line in filled[2:6]] == ['81.3', '59.6', '-', '4']
    grid = fill_published('<!-- published grid of convit -->\nold\n<!-- end -->', 'convit')
    assert '| 0.05 | 6000 | 47.8 | 34.8 |' in grid.splitlines()
    assert 'old' not in grid
