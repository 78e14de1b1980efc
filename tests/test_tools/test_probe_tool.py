import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def probe():
    return runpy.run_path(str(ROOT / 'tools/probe.py'))['main']


def test_all_probes_of_an_untrained_model(job, probe, tmp_path, capsys):
    out = tmp_path / 'scores.json'
    command = [str(job()), '--shots', '2', '--penalties', '0.1', '--device', 'cpu']
    results = probe([*command, '--max-per-class', '10', '--out', str(out)])
    assert list(results) == ['20-NN', '2-shot', '2-shot deviation', 'linear', 'linear penalty']
    printed = capsys.readouterr().out
    assert '30 images to train on, 36 to test, 32 dims' in printed
    assert f'20-NN               {results["20-NN"]:.2f}' in printed
    assert json.loads(out.read_text()) == results


def test_max_per_class_is_no_more_than_there_are(job, probe, capsys):
    command = [str(job()), '--probes', 'knn', '--device', 'cpu', '--max-per-class']
    probe([*command, '99'])
    assert '48 images to train on' in capsys.readouterr().out


def test_one_probe_and_words_for_what_is_wrong(job, probe, tmp_path):
    command = [str(job()), '--probes', 'knn', '--k', '3', '--device', 'cpu']
    assert list(probe(command)) == ['3-NN']
    with pytest.raises(SystemExit, match='neither a file nor a model of the index'):
        probe([*command[:1], 'vit-nowhere', *command[1:]])
    with pytest.raises(SystemExit, match="device 'foo' cannot be used"):
        probe([*command[:-1], 'foo'])
