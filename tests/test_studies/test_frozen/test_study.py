import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy import stats

from vit_plugins.studies.frozen.features import Features
from vit_plugins.studies.frozen.plan import Plan, read_plan
from vit_plugins.studies.frozen.study import PARTS, FrozenStudy
from vit_plugins.studies.frozen.tables import TABLES
from vit_plugins.studies.page import fill_page
from vit_plugins.studies.record_file import read_record_file

ROOT = Path(__file__).parents[3]
PLAN = Plan(
    about='',
    search_size=8,
    photo_sizes=[8, 4],
    poolings=['cls', 'avg'],
    components=[3],
    training={
        'steps': 3,
        'batch_size': 8,
        'samples_per_class': 2,
        'weight_decay': 0.0,
        'memory': 40,
    },
    held_classes=4,
    rates=[0.001, 0.01],
    rate_dims=3,
    dims=[3],
    margins=[0.5],
    koleo=[0, 0.7],
    seeds=[0, 1],
    test_share=0.25,
    penalties=[0.01],
    trees=5,
)


def features(encoder, dataset, size):
    """Return features whose patch mean separates the classes and whose class token does not."""
    gen = torch.Generator().manual_seed(len(dataset) + size)
    labels = torch.arange(10).repeat_interleave(8)
    noise = torch.randn(80, 6, generator=gen)
    good = noise * 0.1 + torch.randn(10, 6, generator=gen)[labels]
    vectors = {'vit': {'cls': noise, 'avg': good}, 'cnn': {'avg': good}}
    vectors |= {'colours': {'histogram': noise}}
    names = [f'{label}/{i}.png' for i, label in enumerate(labels.tolist())]
    return Features(vectors[encoder], labels, names, 2.0, 1.6)


@pytest.fixture
def study(tmp_path):
    study = FrozenStudy(PLAN, features, tmp_path / 'docs' / 'evidence' / 'plan.json')
    for part in PARTS:
        study.run(part, lambda line: None)
    return study


def test_cells_choose_by_training_classes_and_are_measured_once(study):
    records = read_record_file(study.file)
    assert study.best_pooling == 'avg'
    assert len(records) == 3 * 3 + 3 + 2 * 2 + 2 * 2 + 3 * 2 + 2
    rates = {r: records[f'rates/0.5/0.7/{r}']['metrics']['Recall@1'] for r in PLAN.rates}
    cell = records['projection/3/0.5/0.7/seed1']
    assert rates[cell['settings']['rate']] == max(rates.values())
    assert cell['settings']['pooling'] == 'avg'
    told = []
    for part in PARTS:
        study.run(part, told.append)
    assert [line.split(', ')[1] for line in told] == ['0 to do'] * len(PARTS)
    other = FrozenStudy(replace(PLAN, test_share=0.5), features, study.file)
    other.run('photos', told.append)
    assert 'photos: 8 cells, 8 to do' in told
    fewer = FrozenStudy(replace(PLAN, photo_sizes=[8], test_share=0.5), features, study.file)
    fewer.run('photos', told.append)
    assert 'photos: 6 cells, 0 to do' in told
    fewer = FrozenStudy(replace(PLAN, photo_sizes=[8]), features, study.file)
    fewer.run('photos', told.append)
    names = read_record_file(study.file)
    assert sum(name.startswith('photos/') for name in names) == 6
    assert len(names) == len(records) - 2


def test_tables_say_what_the_records_say(study):
    records = read_record_file(study.file)
    tables = {name: table(PLAN, records) for name, table in TABLES.items()}
    found = records['photos/cnn/8/linear']['metrics']
    hits = [int(hit) for hit in found['hits']]
    test = stats.binomtest(sum(hits), len(hits)).proportion_ci(method='wilson')
    (row,) = (line for line in tables['photos'] if line.startswith('| cnn | 8 | linear'))
    assert f'{100 * test.low:.1f} to {100 * test.high:.1f}' in row
    assert row.endswith('| 50.0 |')  # 80 photos in 1.6 s
    pairs = [
        [100 * int(h) for h in records[f'photos/{name}']['metrics']['hits']]
        for name in ('cnn/8/linear', 'colours/8/trees')
    ]
    ends = stats.ttest_rel(*pairs).confidence_interval()
    assert f'({ends.low:+.2f} to {ends.high:+.2f})' in row
    cells = [records[f'projection/3/0.5/0/seed{seed}']['metrics']['Recall@1'] for seed in (0, 1)]
    start = records['off_the_shelf/vit-avg/3']['metrics']['Recall@1']
    white = records['off_the_shelf/vit-avg/3-whitened']['metrics']['Recall@1']
    shown = f'| 3 | 0.5 | {start:.2f} | {white:.2f} | '
    assert tables['projection'][2].startswith(f'{shown}{sum(cells) / 2:.2f}')
    assert tables['gains'][2].startswith(f'| 3 | 0.5 | 2 | {sum(cells) / 2 - start:+.2f} (')
    assert tables['off_the_shelf'][2].split(' | ')[3:5] == ['', '']
    records = {name: record for name, record in records.items() if 'seed1' not in name}
    assert TABLES['projection'](PLAN, records)[2].startswith(f'{shown}{cells[0]:.2f} |')


def test_page_holds_the_tables(study, tmp_path):
    fields = {name: getattr(PLAN, name) for name in Plan.__annotations__}
    (tmp_path / 'plan.yaml').write_text(json.dumps(fields))
    text = 'Before\n<!-- table {} of plan.yaml -->\nold\n<!-- end -->\nAfter\n'
    filled = fill_page(text.format('rates'), tmp_path)
    lines = TABLES['rates'](PLAN, read_record_file(study.file))
    assert filled.splitlines()[2:-3] == lines
    assert fill_page(filled, tmp_path) == filled
    with pytest.raises(ValueError, match=r'must be one of off_the_shelf, .*got colours'):
        fill_page(text.format('colours'), tmp_path)
    study.file.write_text('{}')
    with pytest.raises(ValueError, match=r'plan\.json lacks the record .rates/0\.5/0/0\.001'):
        fill_page(text.format('rates'), tmp_path)


def test_plan_of_the_repository_reads_and_an_unknown_key_is_named(tmp_path):
    plan = read_plan(ROOT / 'configs' / 'retrieval' / 'real_weights.yaml')
    assert 0 in plan.koleo
    assert len(plan.seeds) >= 3
    (tmp_path / 'x.yaml').write_text('about: x\ncolour: red\n')
    with pytest.raises(ValueError, match=r"no plan of a study.*'colour'"):
        read_plan(tmp_path / 'x.yaml')
