"""The tables of measurements, growth and targets on pages."""

import json

import pytest

from vit_plugins.benchmarks.report import fill_benchmarks, targets_table

TARGETS = """
- {what: fast, file: a.json, case: A, side: peer, value: cpu_ratio, at_least: 2}
- {what: small, file: a.json, case: A, side: peer, value: kept_ratio, at_least: 4}
- {what: little, file: a.json, case: A, side: ours, value: peak_mb, at_most: 1.5}
- {what: failed, file: a.json, case: B, side: ours, value: ratio, at_most: 1}
- {what: absent, file: b.json, case: A, side: ours, value: ratio, at_most: 1}
"""
PAGE = """# Page
<!-- bench of a.json -->
old
<!-- end -->
Between.
<!-- growth of a.json -->
<!-- end -->
<!-- bench of b.json -->
<!-- end -->
"""


def side(seconds, **more):
    times = {'seconds': seconds, 'cpu_seconds': seconds}
    return {**times, 'ratio': seconds, 'cpu_ratio': seconds, 'peak_mb': None, **more}


@pytest.fixture
def root(tmp_path):
    sides = {
        'ours': side(1.0, peak_mb=2.0, kept_mb=1.0),
        'peer': side(2.5, kept_mb=3.0, about='another'),
    }
    cases = [
        {'part': 'p', 'case': 'A', 'sides': sides, 'missing': {'kornia': 'not there'}},
        {'part': 'p', 'case': 'B', 'error': 'Traceback\nValueError: no'},
        {'part': 'p', 'case': 'C', 'sides': {'ours': side(3.0, peak_mb=4.0)}, 'missing': {}},
    ]
    report = {
        'command': 'vit-plugins bench p',
        'setting': {'device': 'cpu', 'threads': 1, 'dtype': 'fp32', 'rounds': 5},
        'machine': {'versions': {'torch': '2', 'faiss': ''}, 'processor': 'a CPU', 'cores': 2},
        'cases': cases,
    }
    (tmp_path / 'a.json').write_text(json.dumps(report))
    (tmp_path / 'targets.yml').write_text(TARGETS)
    return tmp_path


def test_targets_are_judged_and_what_is_absent_stays_open(root):
    assert targets_table(root / 'targets.yml')[2:] == [
        '| fast | ≥ 2 x | 2.5 x | yes |',
        '| small | ≥ 4 x | 3 x | **no** |',
        '| little | ≤ 1.5 MiB | 2 MiB | **no** |',
        '| failed | ≤ 1 x | not measured |  |',
        '| absent | ≤ 1 x | not measured |  |',
    ]


def test_tables_stand_in_their_places(root):
    filled = fill_benchmarks(PAGE, root)
    assert '`vit-plugins bench p`: a CPU, threads: 1 of 2 cores, fp32, median of 5' in filled
    assert 'rounds; torch 2.\n' in filled
    lines = filled.splitlines()
    assert '| A | ours | 1000 | 1.00 | 1000 | 1.00 | 2.0 | 1.0 |' in lines
    assert '|  | peer | 2500 | 2.50 | 2500 | 2.50 |  | 3.0 |' in lines
    assert '| B | failed | ValueError: no |  |  |  |  |  |' in lines
    assert '- peer: another' in lines
    assert '- kornia is left out: not there' in lines
    assert '| C | 3000 | 3000 | 3.00 | 4.0 | 2.00 |' in lines
    assert 'Not measured yet: there is no b.json.' in lines
    assert fill_benchmarks(filled, root) == filled
