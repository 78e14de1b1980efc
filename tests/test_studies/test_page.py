import pytest

from vit_plugins.studies.grid import make_cells, read_study
from vit_plugins.studies.page import fill_page, record_path
from vit_plugins.studies.record_file import keep_records

TEXT = """# Page
<!-- settings of tiny.yaml -->
old
<!-- end -->
Between.
<!-- grid of tiny.yaml by model -->
<!-- end -->
"""


@pytest.fixture(scope='module')
def kept(tmp_path_factory, make_bench):
    """Run the stub study and keep its records below a folder in place of the repository."""
    bench = make_bench(tmp_path_factory.mktemp('page'))
    cells = bench.cells(
        bench.text.replace('seeds:', '  size:\n    1: {}\n    2: {model.hidden.width: 9}\nseeds:')
    )
    bench.runner().run_all(cells)
    keep_records(record_path(bench.folder, bench.study), cells, bench.out)
    return bench


def test_tables_stand_in_their_places(kept):
    filled = fill_page(TEXT, kept.folder)
    assert filled.splitlines() == [
        '# Page',
        '<!-- settings of tiny.yaml -->',
        '| model | size | n | accuracy/top1 | against plain |',
        '|---|---|---|---|---|',
        '| plain | 1 | 2 | 48.50 ± 0.71 |  |',
        '| plain | 2 | 2 | 49.50 ± 0.71 |  |',
        '| lifted | 1 | 2 | 58.50 ± 0.71 | +10.00 (+10.00 to +10.00) |',
        '| lifted | 2 | 2 | 59.50 ± 0.71 | +10.00 (+10.00 to +10.00) |',
        '',
        '<!-- end -->',
        'Between.',
        '<!-- grid of tiny.yaml by model -->',
        '| size | plain (n) | lifted (n) | lifted - plain |',
        '|---|---|---|---|',
        '| 1 | 48.50 ± 0.71 (2) | 58.50 ± 0.71 (2) | +10.00 (+10.00 to +10.00) |',
        '| 2 | 49.50 ± 0.71 (2) | 59.50 ± 0.71 (2) | +10.00 (+10.00 to +10.00) |',
        '',
        '<!-- end -->',
    ]
    assert fill_page(filled, kept.folder) == filled


def test_messages(kept, bench):
    with pytest.raises(ValueError, match='one of model, size; got axis colour'):
        fill_page(TEXT.replace('by model', 'by colour'), kept.folder)
    with pytest.raises(ValueError, match=r'tiny.yaml: no records in .*tiny\.json'):
        fill_page(TEXT, bench.folder)
    assert len(make_cells(read_study(kept.folder / 'tiny.yaml'))) == 8
