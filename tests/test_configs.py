"""Guards over all recipes: they parse, build, stand on our own bases and say what they are."""

import ast
import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, TRANSFORMS

from vit_plugins.published_weights import index_models

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'configs').rglob('*.py'))
# Examples for MMSegmentation, which is not installed here, have a test of their own.
RECIPES = [f for f in FILES if '_base_' not in f.parts and f.parent.name != 'mmseg']


def relative(file):
    return str(file.relative_to(ROOT))


recipes = pytest.mark.parametrize('file', RECIPES, ids=relative)


@pytest.mark.parametrize('file', FILES, ids=relative)
def test_bases_are_files_of_ours_in_a_literal(file):
    """``copy-config`` reads them, and ``mmpretrain::`` bases need the removed pkg_resources."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            bases = ast.literal_eval(node.value)
            for base in [bases] if isinstance(bases, str) else bases:
                assert (file.parent / base).resolve().is_relative_to(ROOT / 'configs')
                assert (file.parent / base).is_file()


@recipes
def test_header_says_what_how_and_with_what_result(file):
    source = file.read_text()
    header = ast.get_docstring(ast.parse(source)) or re.match(r'(?:#.*\n)*', source)[0]
    assert len(header.splitlines()) >= 3
    command = re.search(r'tools/(?:(?:train|test)\.py|dist_train\.sh) (\S+)', header)
    assert command, 'the command that runs it is missing'
    assert command[1] == relative(file)
    assert re.search(r'\d ?%|Not trained by us', header), 'the result is missing'


@recipes
def test_recipe_parses_and_builds_the_model_of_its_metafile(file):
    config = Config.fromfile(file)
    assert 'vit_plugins' in config.custom_imports['imports']
    # No memory and no time for the weights of ViT-H; other models read tensors as they are built.
    device = 'meta' if file.parent.name in ('deit3', 'vit') else 'cpu'
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device(device):
        model = MODELS.build(config.model)
    entries = [entry for entry in index_models().values() if entry.config == relative(file)]
    assert bool(entries) == (file.parent != ROOT / 'configs'), 'metafile.yml lists the papers'
    count = sum(parameter.numel() for parameter in model.parameters())
    assert {entry.metadata.parameters for entry in entries} <= {count}


@recipes
def test_transforms_build(file):
    config = Config.fromfile(file)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for part in ('train', 'val', 'test'):
            loader = config[f'{part}_dataloader']
            for step in loader.dataset.pipeline if loader else ():  # None: only evaluated
                TRANSFORMS.build(step)


def test_names_follow_the_grammar_of_the_host():
    """{model}[_{weights}-pre]_{training}_{data}.py with ``-`` inside a part; ``xb`` counts
    devices and images.
    """
    folders = ('convit', 'deit3', 'drloc', 'vit')
    names = [file.stem for file in RECIPES if file.parent.name in folders]
    assert names
    grammar = r'[a-z0-9-]+(_[a-z0-9]+-pre)?_(ft-)?\d+xb\d+(-[a-z0-9]+)*_[a-z0-9-]+'
    for name in names:
        assert re.fullmatch(grammar, name), name
