"""The output of `list` for a recipe."""

import re
from copy import deepcopy
from functools import cache

import pytest

from vit_plugins.config_edits import dataset_by_name as data_edits
from vit_plugins.recipes.finding import find_config
from vit_plugins.recipes.listing import SHORT_NAMES, list_entries
from vit_plugins.resources import resource_root


def line_of(text, name):
    return next(line for line in text.splitlines() if name in line and '.py' in line)


def test_parameters_and_the_published_number_of_the_recipes_own_data():
    line = line_of(list_entries(), 'drloc/swin-tiny-drloc_8xb128-100e.py')
    assert line.split() == [
        'drloc/swin-tiny-drloc_8xb128-100e.py',
        '28.6',
        'M',
        'cifar100',
        '66.23',
    ]
    assert line_of(list_entries(), 'small_data/cct_cifar10.py').split() == [
        'small_data/cct_cifar10.py'
    ]
    assert '--data ' not in list_entries().partition('\nmodels')[2]


def test_a_pattern_shows_the_data_that_a_recipe_takes():
    text = list_entries('swin-tiny-drloc_8xb128-100e')
    told = ' '.join(text.split())
    assert 'svhn 94.23' in told
    assert 'flowers102 39.37, imagenet, ' in told
    assert 'in-shop' not in told
    assert 'digits' not in told
    retrieval = ' '.join(list_entries('irt-r-deit-small_1xb64-2k_cub').split())
    assert '--data cub 74.7, in-shop, retrieval-folder, sop' in retrieval
    assert '--fraction 1 81.4, 0.5 78.2' in list_entries('convit/convit-small_8xb128_in1k')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'convit/convit-small_8xb128_in1k',
        'deit3/deit3-dim64-p4_1xb64-30e_digits-16px',
        'deit3/deit3-huge-p14_32xb64-800e_in1k-154px',
        'drloc/vit-tiny_1xb128-200e_cifar10',
        'drloc/resnet50-drloc_8xb128-100e',
        'retrieval/irt-l-deit-base-distilled_1xb35-100e_sfm120k-384px',
        'retrieval/irt-l-deit-base_1xb64-2k_cub',
        'retrieval/irt-o-deit-small_sop',
        'small_data/cct_cifar10',
        'vit/vit-base-p16_in21k-pre_8xb64-10k-384px',
    ],
)
def test_the_tools_take_what_is_listed_and_nothing_else(name, monkeypatch):
    read = cache(data_edits.read_config_file)
    monkeypatch.setattr(data_edits, 'read_config_file', lambda file: deepcopy(read(file)))
    found = re.search(r'--data (.*)', ' '.join(list_entries(f'{name}.py').split()))
    listed = found[1].partition(' --')[0].partition(' numbers:')[0] if found else ''
    taken = []
    for data in data_edits.data_names():
        try:
            data_edits.apply_data(deepcopy(read(resource_root() / f'configs/{name}.py')), data)
        except ValueError:
            continue
        taken.append(data)
    assert [entry.split()[0] for entry in listed.split(', ') if entry] == taken


def test_recipes_for_own_photos_come_first():
    lines = list_entries().splitlines()
    assert lines[0] == 'for your own photos (vit-plugins train NAME --data-root DIR):'
    assert [line.split()[0] for line in lines[1:5]] == list(SHORT_NAMES)
    for name in SHORT_NAMES:
        assert find_config(name).is_file()
