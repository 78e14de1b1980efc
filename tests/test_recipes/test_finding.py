"""Packaged recipes by name, and their base files."""

import pytest

from vit_plugins.recipes.finding import find_config, with_bases
from vit_plugins.resources import resource_root


@pytest.mark.parametrize(
    'name',
    [
        'convit-tiny_4xb256_in1k',
        'convit-tiny_4xb256_in1k.py',
        'convit/convit-tiny_4xb256_in1k.py',
        'configs/convit/convit-tiny_4xb256_in1k.py',
        'convit-tiny_3rdparty_in1k',
    ],
)
def test_config_is_found_by(name):
    expected = resource_root() / 'configs/convit/convit-tiny_4xb256_in1k.py'
    assert find_config(name) == expected


def test_what_a_recipe_stands_on():
    file = resource_root() / 'configs/drloc/swin-tiny-drloc_in1k-pre_8xb128-100e.py'
    names = [base.name for base in with_bases(file)]
    assert names[:3] == [
        'swin-tiny-drloc_in1k-pre_8xb128-100e.py',
        'swin-tiny_in1k-pre_8xb128-100e.py',
        'swin-tiny_8xb128-100e.py',
    ]
    assert {'swin_tiny.py', 'cifar100_224.py', 'default_runtime.py'} <= {*names}
