"""File names as text that terminals, tables and pages can show."""

import io
import os
import sys

from vit_plugins.fileio.printable_text import (
    log_line,
    printable,
    spreadsheet_cell,
    spreadsheet_path,
    write_any_character,
)


def test_printable():
    for same in ('photo 1.jpg', 'Änne/ß ☃.webp', '猫　犬', 'می\u200cخواهم', '👩\u200d🌾'):
        assert printable(same) == same
    assert printable(os.fsdecode(b'caf\xe9')) == r'caf\udce9'
    assert printable('\x1b[31mred\n\t\u202egpj.exe\u2028') == (
        r'\x1b[31mred\n\t\u202egpj.exe\u2028'
    )
    assert printable(os.fsdecode(bytes(range(1, 256)))).encode().decode().isprintable()


def test_spreadsheets_run_nothing():
    assert spreadsheet_cell('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
    assert [spreadsheet_cell(t) for t in ('@home', '-1e5', 'cat', '')] == [
        *("'@home", '-1e5', 'cat', '')
    ]
    assert spreadsheet_path('-x/1.jpg') == './-x/1.jpg'
    assert spreadsheet_path('/x/=1.jpg') == '/x/=1.jpg'


def test_a_console_of_another_encoding_gets_escapes():
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding='ascii')
    write_any_character(console, io.StringIO())  # what has no encoding is left alone
    console.write('猫 ' + os.fsdecode(b'\xe9'))
    console.flush()
    assert raw.getvalue() == rb'\u732b \udce9'


def test_lines_about_files_on_any_console(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr('sys.stdout', io.TextIOWrapper(raw, encoding='cp1252'))
    log_line('3 classes: Käfer, 猫')
    sys.stdout.flush()
    assert raw.getvalue().decode('cp1252') == '3 classes: Käfer, \\u732b\n'
