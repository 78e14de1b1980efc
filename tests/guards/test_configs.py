"""Guards over all recipes: they parse, build, inherit from our own bases and have a header."""

import ast
import functools
import re
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from read_recipes import read_recipe, shapes_of

from vit_plugins.weights.index import index_models

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'configs').rglob('*.py'))
# Examples for MMSegmentation, which is not installed here, have a test of their own.
RECIPES = [f for f in FILES if '_base_' not in f.parts and f.parent.name != 'mmseg']
# Recipes of no paper: metafile.yml need not know them.
OURS = (ROOT / 'configs', ROOT / 'configs' / 'small_data')


def relative(file):
    return str(file.relative_to(ROOT))


recipes = pytest.mark.parametrize('file', RECIPES, ids=relative)
folders = pytest.mark.parametrize('folder', sorted({f.parent for f in FILES}), ids=relative)


@folders
def test_bases_are_files_of_ours_in_a_literal(folder):
    """``copy-config`` reads them, and ``mmpretrain::`` bases need the removed pkg_resources."""
    for file in folder.glob('*.py'):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
                bases = ast.literal_eval(node.value)
                for base in [bases] if isinstance(bases, str) else bases:
                    assert (file.parent / base).resolve().is_relative_to(ROOT / 'configs'), file
                    assert (file.parent / base).is_file(), file


@folders
def test_header_says_what_how_and_with_what_result(folder):
    for file in {*RECIPES} & {*folder.glob('*.py')}:
        source = file.read_text()
        header = ast.get_docstring(ast.parse(source)) or re.match(r'(?:#.*\n)*', source)[0]
        assert len(header.splitlines()) >= 3, file
        command = re.search(
            r'tools/(?:(?:train|test)\.py|dist_train\.sh) (?:\\\n# +)?(\S+)', header
        )
        assert command, f'{file}: the command that runs it is missing'
        assert command[1] == relative(file)
        assert re.search(r'\d ?%|Not trained by us', header), f'{file}: the result is missing'


@recipes
def test_recipe_parses_and_builds_the_model_of_its_metafile_and_transforms(file):
    config = read_recipe(file)
    assert 'vit_plugins' in config.custom_imports['imports']
    model = shapes_of(config.model)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for step in steps(config):
            TRANSFORMS.build(step)
    listed = entries(relative(file))
    assert bool(listed) == (file.parent not in OURS), 'metafile.yml lists the papers'
    count = sum(parameter.numel() for parameter in model.parameters())
    assert {entry.metadata.parameters for entry in listed} <= {count}


@recipes
def test_batches_are_stacked_in_the_worker(file):
    config = read_recipe(file)
    assert config.data_preprocessor.type == 'StackedDataPreprocessor'
    for part in ('train', 'val', 'test'):
        if config[f'{part}_dataloader']:
            assert config[f'{part}_dataloader'].collate_fn == {'type': 'stacked_collate'}


def steps(config):
    """Return the transforms of all pipelines."""
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        dataset = loader.dataset if loader else dict(pipeline=[])  # None: only evaluated
        while 'dataset' in dataset:  # a wrapper
            dataset = dataset['dataset']
        yield from dataset['pipeline']


index = functools.cache(index_models)


def entries(config):
    return [entry for entry in index().values() if entry.config == config]


def test_names_follow_the_grammar_of_the_host():
    """{model}[_{weights}-pre]_{training}[_{data}].py with ``-`` inside a part; ``xb`` counts
    devices and images. Without data, the recipe is meant for several (``--data``).
    """
    methods = ('convit', 'deit3', 'drloc', 'vit')
    names = [f.stem for f in RECIPES if f.relative_to(ROOT / 'configs').parts[0] in methods]
    assert names
    grammar = r'[a-z0-9-]+(_[a-z0-9]+-pre)?_(ft-)?\d+xb\d+(-[a-z0-9]+)*(_[a-z0-9-]+)?'
    for name in names:
        assert re.fullmatch(grammar, name), name


@pytest.mark.parametrize('name', ['photos*', 'similar', 'convit_drloc_folder*', '*_digits'])
def test_recipes_for_people_end_with_a_page(name):
    for file in (ROOT / 'configs').glob(f'{name}.py'):
        assert read_recipe(file).default_hooks.report_page.enable, file
