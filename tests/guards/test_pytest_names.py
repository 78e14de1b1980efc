"""No function of the package has a name that pytest collects where a test module imports it."""

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / 'vit_plugins'
COLLECTED = re.compile(r'^(?:def test\w*|class Test\w*)', re.MULTILINE)


def test_pytest_collects_nothing_of_the_package():
    assert COLLECTED.findall('def test_a(): 0\nclass TestB: 0\ndef a_test(): 0') == [
        'def test_a',
        'class TestB',
    ]
    sources = {path: path.read_text(encoding='utf-8') for path in PACKAGE.rglob('*.py')}
    assert sources
    assert not {
        path: found for path, text in sources.items() if (found := COLLECTED.findall(text))
    }
