import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from vit_plugins.command_line.commands import report as command

MAIN = runpy.run_path(str(Path(__file__).parents[2] / 'tools/report.py'))['main']


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['nowhere'], 'nowhere is not a folder: give the work dir of a training run'),
        (['.', '--out', 'page.pdf'], r'--out must end in \.html, got page\.pdf'),
        (['.', '.', '--checkpoint', 'a.pth'], '--config and --checkpoint go with one WORK_DIR'),
    ],
)
def test_wrong_arguments_are_told(words, told, capsys):
    with pytest.raises(SystemExit, match='2'):
        MAIN(words)
    assert re.search(told, capsys.readouterr().err)


def test_a_folder_without_a_training_is_told(tmp_path):
    with pytest.raises(
        SystemExit, match=r'holds 0 configs \(\*\.py\), and the work dir of a training'
    ):
        MAIN([str(tmp_path)])


@pytest.mark.parametrize(
    ('words', 'place'),
    [
        (['a'], 'a/report.html'),
        (['a', 'b'], 'report.html'),
        (['a', 'b', '--out', 'x/c.html'], 'x/c.html'),
    ],
)
def test_where_the_page_lies_is_said_in_full(words, place, tmp_path, monkeypatch, capsys):
    for name in 'ab':
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, 'read_run', lambda folder, *_: SimpleNamespace(checkpoint=folder))
    monkeypatch.setattr(command, 'find_out', lambda *_, **__: SimpleNamespace(problems=[]))
    monkeypatch.setattr(command, 'write_page', lambda found, out: out.write_text('page') and out)
    assert MAIN(words) == 0
    assert capsys.readouterr().out.startswith(f'{tmp_path / place}: 0.00 MB')
    assert (tmp_path / place).read_text() == 'page'


@pytest.mark.slow
def test_the_digits_end_with_their_page(tmp_path, capfd):
    train = runpy.run_path(str(Path(__file__).parents[2] / 'tools/train.py'))['main']
    config = Path(__file__).parents[2] / 'configs/convit_drloc_digits.py'
    train([str(config), '--epochs', '1', '--work-dir', str(tmp_path)])
    page = tmp_path / 'report.html'
    assert f'The training as a page: {page}' in ''.join(capfd.readouterr())
    html = page.read_text(encoding='utf-8')
    assert 'has not come to its end' not in html
    assert '359 validation images of 10 classes' in html
    page.unlink()
    MAIN([str(tmp_path)])
    assert f'{page}: 0.' in capfd.readouterr().out
