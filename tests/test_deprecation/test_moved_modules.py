import importlib
import sys

import pytest

from vit_plugins.deprecation.moved_modules import MOVED, MovedModules, install


@pytest.mark.parametrize('old', MOVED)
def test_old_names_import_with_a_warning_that_says_the_new_one(old):
    sys.modules.pop(f'vit_plugins.{old}', None)
    homes = MOVED[old].split()
    with pytest.warns(DeprecationWarning, match=f'has moved: import vit_plugins.{homes[0]}'):
        module = importlib.import_module(f'vit_plugins.{old}')
    for home in homes:
        new = importlib.import_module(f'vit_plugins.{home}')
        own = [name for name in vars(new) if not name.startswith('_')]
        assert own
        assert all(hasattr(module, name) for name in own)
    with pytest.raises(AttributeError, match=f'vit_plugins.{old}.*no attribute .nothing'):
        _ = module.nothing


def test_names_of_split_modules_are_found_in_each_part():
    sys.modules.pop('vit_plugins.datasets.photo_pipeline', None)
    with pytest.warns(DeprecationWarning, match='photo_pipeline has moved'):
        from vit_plugins.datasets.photo_pipeline import accept_photos, use_load_photo, walk
    assert accept_photos.__module__ == 'vit_plugins.config_edits.photos'
    assert walk.__module__ == 'vit_plugins.config_edits.walking'
    assert use_load_photo.__module__ == 'vit_plugins.datasets.transforms.load_photo'


def test_names_that_never_were_are_unknown():
    with pytest.raises(ModuleNotFoundError, match=r'vit_plugins\.no_such_module'):
        importlib.import_module('vit_plugins.no_such_module')
    with pytest.raises(ModuleNotFoundError, match='draws'):
        importlib.import_module('draws')


def test_installed_once():
    install()
    install()
    assert sum(isinstance(finder, MovedModules) for finder in sys.meta_path) == 1


def test_a_star_imports_what_the_new_modules_have():
    sys.modules.pop('vit_plugins.file_lock', None)
    names = {}
    with pytest.warns(DeprecationWarning, match='file_lock has moved'):
        exec('from vit_plugins.file_lock import *', names)
    assert 'acquire' in names
    assert 'acquire' in dir(sys.modules['vit_plugins.file_lock'])
