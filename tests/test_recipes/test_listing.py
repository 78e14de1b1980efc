"""What `list` shows of a recipe."""

from vit_plugins.recipes.finding import find_config
from vit_plugins.recipes.listing import SHORT_NAMES, list_entries


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
    assert '--data cub 74.7, in-shop, retrieval-folder, sfm120k, sop' in retrieval
    assert '--fraction 1 81.4, 0.5 78.2' in list_entries('convit/convit-small_8xb128_in1k')


def test_recipes_for_own_photos_come_first():
    lines = list_entries().splitlines()
    assert lines[0] == 'for your own photos (vit-plugins train NAME --data-root DIR):'
    assert [line.split()[0] for line in lines[1:4]] == ['photos', 'photos-scratch', 'similar']
    for name in SHORT_NAMES:
        assert find_config(name).is_file()
