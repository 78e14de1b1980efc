import json

import pytest

from vit_plugins.evaluation.functional.statistics import PairedDifference
from vit_plugins.studies.claims import Claim, claims_table, compare, read_claims, verdict

CLAIM = """
- claim: a helps
  records: tiny.json
  command: python run.py
  level: a/seed{seed}
  baseline: b/seed{seed}
  metric: top1
  section: "What a is, and why"
"""


def record(seed, **metrics):
    kept = {'fingerprint': '', 'levels': {}, 'seed': seed, 'metrics': metrics}
    return {**kept, 'stages': [{'last_losses': {'drloc_raw': 0.1 * seed}}]}


def claim(tmp_path, more='', cells=None):
    (tmp_path / 'claims.yml').write_text(CLAIM + more)
    (tmp_path / 'tiny.json').write_text(json.dumps(cells or {}))
    return read_claims(tmp_path / 'claims.yml')[0]


def test_the_table_pairs_seeds(tmp_path):
    cells = {f'a/seed{i}': record(i, top1=50 + i) for i in range(3)}
    cells |= {f'b/seed{i}': record(i, top1=40 + 2 * i) for i in range(4)}
    claim(tmp_path, cells=cells)
    # 10, 9, 8: mean 9, Student's 4.303 standard errors of 1 / sqrt(3)
    assert claims_table(tmp_path / 'claims.yml')[2:] == [
        '| a helps ([more](#what-a-is-and-why)) | 3 | +9.0 (+6.5 to +11.5) | **holds** '
        '| `python run.py` |'
    ]


def test_nothing_run_yet(tmp_path):
    claim(tmp_path)
    assert '| 0 |  | **cannot tell yet** |' in claims_table(tmp_path / 'claims.yml')[2]


@pytest.mark.parametrize(
    ('low', 'high', 'n', 'worth', 'said'),
    [
        (0.1, 3.0, 3, 0.0, 'holds'),
        (0.1, 3.0, 2, 0.0, 'cannot tell yet'),
        (0.1, 0.8, 3, 1.0, 'holds, by less than 1'),
        (-0.1, 0.8, 3, 1.0, 'does not'),
        (-0.1, 0.8, 3, 0.0, 'cannot tell yet'),
        (-0.8, -0.1, 3, 0.0, 'does not'),
        (-3.0, 3.0, 3, 1.0, 'cannot tell yet'),
    ],
)
def test_verdicts(tmp_path, low, high, n, worth, said):
    asked = claim(tmp_path, f'  worth: {worth}\n')
    found = PairedDifference(n, (low + high) / 2, 1.0, low, high)
    assert verdict(asked, found) == said
    assert verdict(asked, found, ready=False) == 'cannot tell yet'


@pytest.mark.parametrize(('limit', 'said'), [(0.15, 'cannot tell yet'), (0.25, 'holds')])
def test_no_verdict_before_the_other_task_is_solved(tmp_path, limit, said):
    cells = {f'a/seed{i}': record(i, top1=60 + i) for i in range(3)}  # drloc_raw 0, 0.1, 0.2
    cells |= {f'b/seed{i}': record(9, top1=50) for i in range(3)}
    for i in range(3):
        cells[f'b/seed{i}']['seed'] = i
    claim(tmp_path, f'  needs: {{drloc_raw: {limit}}}\n', cells)
    assert f'**{said}**' in claims_table(tmp_path / 'claims.yml')[2]


def test_one_cell_against_seeds_and_lists_place_by_place(tmp_path):
    cells = {'a/seed0': record(0, top1=3.0), 'a/seed1': record(1, top1=5.0)}
    asked = Claim('', tmp_path, '', 'a/seed{seed}', 'fixed', 'top1')
    both = compare(asked, {**cells, 'fixed': record(0, top1=1.0)})
    assert (both.n, both.mean) == (2, 3.0)
    hits = {'x': record(0, hits='1101'), 'y': record(0, hits='0100')}
    places = compare(Claim('', tmp_path, '', 'x', 'y', 'hits'), hits)
    assert (places.n, places.mean) == (4, 50.0)
    hits['y'] = record(0, hits='010')
    with pytest.raises(ValueError, match='x and y: hits differs in length'):
        compare(Claim('', tmp_path, '', 'x', 'y', 'hits'), hits)


@pytest.mark.parametrize('more', ['  colour: red\n', '- claim: another\n'])
def test_entries_that_are_no_claims(tmp_path, more):
    with pytest.raises(ValueError, match=r'claims\.yml'):
        claim(tmp_path, more)
