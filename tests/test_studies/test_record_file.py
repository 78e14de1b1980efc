import shutil

import pytest

from vit_plugins.studies.cell_folder import cell_state, read_json
from vit_plugins.studies.record_file import keep_records, read_record_file, restore_records


def test_records_bring_finished_cells_to_another_machine(bench, tmp_path):
    cells = bench.cells()
    bench.runner(data_root='/here').run_all(cells[:3])
    file = tmp_path / 'kept' / 'tiny.json'
    keep_records(file, cells, bench.out)
    text = file.read_text()
    assert len(text.splitlines()) == 3 + 2  # one line a cell
    assert '/here' not in text
    first = read_json(bench.out / cells[0].name / 'record.json')
    shutil.rmtree(bench.out)

    assert restore_records(read_record_file(file), cells, bench.out, '/there') == []
    states = [cell_state(cell, bench.out / cell.name, '/there') for cell in cells]
    assert states == ['done', 'done', 'done', 'todo']
    again = read_json(bench.out / cells[0].name / 'record.json')
    assert again['metrics'] == first['metrics']
    losses = [dict(record['stages'][0]['curves']['loss']) for record in (again, first)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # six digits are kept
    keep_records(file, cells, bench.out)
    assert file.read_text() == text


def test_records_of_another_config_are_named_and_left_out(bench, tmp_path):
    cells = bench.cells()
    bench.runner().run_all(cells[:2])
    keep_records(tmp_path / 'tiny.json', cells, bench.out)
    shutil.rmtree(bench.out)
    cells = bench.cells(bench.text.replace('10.0', '20.0'))
    others = restore_records(read_record_file(tmp_path / 'tiny.json'), cells, bench.out, None)
    assert others == ['lifted/seed0']
    assert cell_state(cells[1], bench.out / 'lifted/seed0', None) == 'todo'


@pytest.mark.parametrize('text', ['{', '[1]', '{"a": {"metrics": {}}}'])
def test_a_file_of_something_else(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ValueError, match='is no file of records'):
        read_record_file(tmp_path / 'a.json')
    assert read_record_file(tmp_path / 'none.json') == {}
