import pytest
from mmengine.config import Config

from vit_plugins.resources import resource_root
from vit_plugins.studies.grid import make_cells, read_study
from vit_plugins.studies.study_file import level_value


def names(cells):
    return [cell.name for cell in cells]


GRID = """
base: base.py
axes:
  model: {plain: {}, wide: {model.hidden.width: 16}, 2layer: {model.layers.1.size: 5}}
  data: {1%: {fail: a}, 10%: {fail: b}}
seeds: [3, 5]
"""


def test_every_combination_is_a_cell_of_every_seed(bench):
    cells = bench.cells(GRID)
    assert len(cells) == 3 * 2 * 2
    assert names(cells)[:3] == ['plain/1%/seed3', 'plain/10%/seed3', 'wide/1%/seed3']
    assert names(cells)[6] == 'plain/1%/seed5'  # a whole grid of one seed comes first
    wide = cells[2]
    assert wide.levels == {'model': 'wide', 'data': '1%'}
    cfg = wide.stages[0]
    assert (cfg.model.hidden.width, cfg.model.lift, cfg.fail) == (16, 0.0, 'a')
    assert cfg.randomness.seed == 3
    assert cells[4].stages[0].model.layers == [{'size': 1}, {'size': 5}]


def test_chosen_and_excluded_cells(bench):
    chosen = bench.cells(GRID + 'cells: [{model: plain}, {model: [wide, plain], data: 10%}]\n')
    assert names(chosen)[:3] == ['plain/1%/seed3', 'plain/10%/seed3', 'wide/10%/seed3']
    assert len(chosen) == 6
    rest = bench.cells(GRID + 'exclude: [{model: [wide, 2layer], data: 1%}]\n')
    assert names(rest)[:4] == [
        'plain/1%/seed3',
        'plain/10%/seed3',
        'wide/10%/seed3',
        '2layer/10%/seed3',
    ]


def test_settings_of_certain_cells(bench):
    tuned = 'tuned: [{where: {model: [wide, plain], data: 10%}, set: {model.lift: 7.0}}]'
    cells = bench.cells(GRID.replace('[3, 5]', '[3]') + tuned)
    lifts = {cell.name: cell.stages[0].model.lift for cell in cells}
    assert {name for name, lift in lifts.items() if lift == 7} == {
        'plain/10%/seed3',
        'wide/10%/seed3',
    }
    untouched = bench.cells(GRID.replace('[3, 5]', '[3]'))
    same = [a.fingerprint == b.fingerprint for a, b in zip(cells, untouched, strict=True)]
    assert same == [lift == 0 for lift in lifts.values()]


def test_another_base_and_lists_that_replace(bench):
    bench.write('_base_ = "base.py"\nmodel = dict(lift=5.0)', 'other.py')
    cells = bench.cells("""
        base: base.py
        options: {model.lift: 1e-3}
        axes:
          model:
            a: {_base_: other.py}
            b: {model.layers: [{size: 9}]}
            c: {model: {hidden: {_delete_: true, depth: 1}}}
        seeds: [0]
        """)
    a, b, c = [cell.stages[0].model for cell in cells]
    assert (a.lift, b.lift) == (1e-3, 1e-3)  # options are of every cell
    assert b.layers == [{'size': 9}]
    assert c.hidden == {'depth': 1}
    assert len(a.layers) == 2


def test_stages_and_tests(bench):
    cells = bench.cells("""
        base: base.py
        axes:
          size:
            high: {}
            low-then-high:
              _stages_:
                - {model.hidden.width: 4, train_cfg.max_epochs: 2}
                - {train_cfg.max_epochs: 1}
        tests: {full: {}, narrow: {model.hidden.width: 1}}
        seeds: [0]
        """)
    high, low = cells
    assert [cfg.model.hidden.width for cfg in low.stages] == [4, 8]
    assert [cfg.train_cfg.max_epochs for cfg in low.stages] == [2, 1]
    assert len(high.stages) == 1
    assert {name: cfg.model.hidden.width for name, cfg in low.tests.items()} == {
        'full': 8,
        'narrow': 1,
    }


def test_epochs_grow_as_data_shrink(bench):
    cells = bench.cells("""
        base: base.py
        axes: {data: {10: {_scale_epochs_: 0.1, fail: a}, 100: {}}}
        seeds: [0]
        """)
    assert [cell.stages[0].train_cfg.max_epochs for cell in cells] == [30, 3]


DIGITS = f"""
base: {resource_root()}/configs/convit_drloc_digits.py
axes:
  data: {{own: {{}}, three: {{_data_: three.py}}}}
seeds: [0]
"""


def test_another_dataset_of_a_study_and_of_a_level(bench):
    data = Config.fromfile(resource_root() / 'configs/_base_/datasets/digits.py')
    for name, count in (('three', 3), ('four', 4)):
        data.data_preprocessor.num_classes = count
        data.dump(bench.folder / f'{name}.py')
    own, three = bench.cells(DIGITS)
    assert own.stages[0].model.head.head.num_classes == 10
    assert three.stages[0].model.head.head.num_classes == 3
    four, still_three = bench.cells(DIGITS + 'data: four.py')
    assert four.stages[0].model.head.head.num_classes == 4
    assert still_three.fingerprint == three.fingerprint
    file = bench.folder / 'study.yaml'
    file.write_text(DIGITS)
    cells = make_cells(read_study(file, str(bench.folder / 'four.py')))
    assert [cell.fingerprint for cell in cells] == [four.fingerprint, three.fingerprint]
    with pytest.raises(ValueError, match='cell own/seed0: --data svhn'):
        bench.cells(DIGITS + 'data: svhn')


def test_seed_goes_where_it_is_wanted(bench):
    study = 'base: base.py\naxes: {model: {a: {}}}\nseeds: [4]\n'
    (cell,) = bench.cells(study + 'seed_keys: [randomness.seed, model.hidden.seed]\n')
    assert cell.stages[0].model.hidden.seed == cell.stages[0].randomness.seed == 4


def test_fingerprint_changes_with_all_that_counts(bench):
    study = 'base: base.py\naxes: {model: {a: {model.lift: 1}}}\nseeds: [0]\n'
    prints = [bench.cells(study)[0].fingerprint]
    assert bench.cells(study + 'name: another\nabout: text\n')[0].fingerprint == prints[0]
    for more in ('measure: val', 'train_args: [--amp]', 'options: {fail: x}', 'seeds: [1]'):
        key = more.split(':')[0]
        kept = '\n'.join(line for line in study.splitlines() if not line.startswith(key))
        prints.append(bench.cells(f'{kept}\n{more}\n')[0].fingerprint)
    path = bench.folder / 'base.py'
    path.write_text(path.read_text().replace('max_epochs=3', 'max_epochs=4'))
    prints.append(bench.cells(study)[0].fingerprint)
    assert len(set(prints)) == len(prints)


def test_inherited_study(bench):
    (bench.folder / 'sub').mkdir()
    bench.write(GRID)
    bench.write(
        """
        inherit: ../tiny.yaml
        axes: {data: {1%: null}, model: {plain: {model.lift: 2}}}
        seeds: [8]
        """,
        'sub/full.yaml',
    )
    study = read_study(bench.folder / 'sub/full.yaml')
    cells = make_cells(study)
    assert study.name == 'full'
    assert names(cells) == ['plain/10%/seed8', 'wide/10%/seed8', '2layer/10%/seed8']
    assert cells[0].stages[0].model.lift == 2
    assert isinstance(cells[0].stages[0], Config)


@pytest.mark.parametrize(
    ('name', 'settings', 'value'),
    [('10%', {}, 10), ('0.5', {}, 0.5), ('small', {'_x_': 1.3}, 1.3), ('7', {'_x_': 2}, 2)],
)
def test_number_of_a_level(name, settings, value):
    assert level_value(name, settings) == value


def test_null_is_the_default(bench):
    keys = ('options', 'cells', 'exclude', 'tuned', 'tests', 'compare', 'plot', 'metric', 'seeds')
    plain = 'base: base.py\naxes: {model: {a: {}}}\n'
    given = [cell.fingerprint for cell in bench.cells(plain)]
    nulls = bench.cells(plain + ''.join(f'{key}: null\n' for key in keys))
    assert [cell.fingerprint for cell in nulls] == given
    assert len(given) == 3


ONE = 'base: base.py\naxes: {model: {a: {model.lift: 1}, b: {}}}\nseeds: [0]\n'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('- a', 'is not a study'),
        ('axes: {a: {b: {}}', r'tiny\.yaml is not YAML: ParserError: while parsing'),
        ('base: base.py\naxes: {model: {a: 3}}', 'axes must map'),
        (ONE + 'seed: [1]', "unknown key 'seed'; did you mean seeds"),
        (ONE + 'zzz: 1', "unknown key 'zzz'; known are name"),
        ('axes: {model: {a: {}}}', 'base is missing'),
        ('base: base.py', 'axes must map'),
        ('base: base.py\naxes: {model: {}}', 'axes must map'),
        ('base: base.py\naxes: {model: {a/b: {}}}', "level 'a/b' of model names a folder"),
        # tables take a difference, 'a - b', apart
        ('base: base.py\naxes: {model: {a - b: {}}}', "level 'a - b' of model names a folder"),
        ('base: base.py\naxes: {model: {a: {_stage_: []}}}', 'level a of model has _stage_'),
        (ONE + 'measure: train', "'test' or 'val', got 'train'"),
        (ONE + 'measure: val\ntests: {a: {}}', "need measure: 'test'"),
        (ONE.replace('[0]', '[1, 1]'), r'different integers, got \[1, 1\]'),
        (ONE.replace('[0]', '3'), 'seeds must be a list of one or more different integers, got 3'),
        (ONE + 'tests: {a/b: {}}', "'a/b' names files"),
        (ONE.replace('model: {a', 'my model: {a'), "'my model' names files"),
        (ONE + 'compare: {axis: model}', r"compare takes \['axis', 'baseline', 'levels'\]"),
        (ONE + 'compare: {axis: size, baseline: a}', "axis 'size'; there are model"),
        (ONE + 'compare: {axis: model, baseline: c}', "level 'c' of model; there are a, b"),
        (ONE + 'exclude: [{model: c}]', "exclude names the level 'c'"),
        (
            ONE + 'tuned: [{where: {model: a}, set: {}}]\nexclude: [{model: a}]',
            r"no cell is where {'model': \['a'\]} says",
        ),
        (ONE + 'tuned: [{where: {model: c}, set: {}}]', "tuned names the level 'c'"),
        (ONE + 'tuned: [{model: a}]', r"tuned takes \['set', 'where'\]"),
        (ONE + 'plot: {x: size}', "plot names the axis 'size'"),
        (ONE + 'plot: {x: model}', "'a' is no number to plot against: give it _x_"),
        (
            ONE.replace('model.lift', 'modell.lift'),
            'cell a/seed0: modell.lift: the base config ha',
        ),
        (ONE.replace('model.lift: 1', 'model.layers.7.size: 1'), 'cell a/seed0: '),
        (ONE.replace('model.lift: 1', ''), 'a/seed0 and b/seed0 have the same config'),
        (ONE.replace('base.py', 'gone.py'), r'gone.py'),
        (
            'base: base.py\naxes: {m: {a: {_scale_epochs_: 1}}, n: {b: {_scale_epochs_: 1}}}',
            'two of its levels have _scale_epochs_',
        ),
        ('base: base.py\naxes: {m: {a: {_scale_epochs_: 2}}}', r'cell a/seed0: fraction must lie'),
    ],
)
def test_errors(bench, text, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        bench.cells(text)
