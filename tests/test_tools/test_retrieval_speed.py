"""The comparison of methods, on sizes that take no time: that all compute the same."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'tools' / 'benchmarks' / 'retrieval_speed.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_retrieval_speed', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_methods_find_the_same_recalls(tool):
    vectors, labels = tool.make_data(500, 16)
    expected = tool.ours(vectors, labels)
    assert list(expected) == [f'Recall@{k}' for k in (1, 10, 100, 1000)]
    assert 0 < expected['Recall@1'] < expected['Recall@10'] < expected['Recall@1000'] == 1
    for method, call in tool.METHODS.items():
        found = call(vectors, labels)
        assert found == ({} if call is tool.host else pytest.approx(expected, abs=1e-6)), method


def test_goals_are_judged(tool):
    recalls = {'Recall@1': 10.0}
    ours = dict(method='ours', seconds=1.0, extra=0.1, cpu=1.0, recalls=recalls)
    faiss = dict(method='faiss IndexFlatIP', seconds=2.0, extra=1.0, cpu=2.0, recalls=recalls)
    assert tool.report(faiss, ours).split()[-2:] == ['2.00', '10.000']
    assert [line.split()[0] for line in tool.judge([ours, faiss])] == ['reached'] * 3
    worse = ours | dict(seconds=3.0, extra=0.6, recalls={'Recall@1': 11.0})
    assert [line.split()[0] for line in tool.judge([worse, faiss])] == ['MISSED'] * 3


@pytest.mark.slow
def test_table_of_one_command(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FILE), '--sizes', '500x16', '--out', str(tmp_path / 'table.json')],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'reached  recalls differ from those of faiss by 0.0000' in done.stdout
    table = json.loads((tmp_path / 'table.json').read_text())
    assert [row['method'] for row in table['500x16']][:2] == ['ours', 'faiss IndexFlatIP']
    assert all(row['seconds'] > 0 for row in table['500x16'])


def test_help(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    assert '--sizes' in capsys.readouterr().out
