"""Guards: a warning of the package fails a test, wherever it points; others' do not."""

import types

import pytest

CODE = """
import warnings

def of_here():
    warnings.warn('mine', UserWarning)

def of_the_caller():
    warnings.warn('mine', UserWarning, stacklevel=2)

def of_the_start():
    warnings.warn(DeprecationWarning('mine'), stacklevel=100)
"""
WAYS = ['of_here', 'of_the_caller', 'of_the_start']


def module(name):
    made = types.ModuleType(name)
    exec(compile(CODE, f'{name}.py', 'exec'), vars(made))
    return made


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['vit_plugins', 'vit_plugins.models.made_up'])
def test_our_warnings_are_errors(way, name):
    with pytest.raises(Warning, match='mine'):
        getattr(module(name), way)()


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['vit_plugins_of_others', 'torch.nn.made_up'])
@pytest.mark.filterwarnings('ignore:mine')  # first, so that the summary stays clean
@pytest.mark.filterwarnings('error:::vit_plugins(\\.|$)')
def test_warnings_of_others_are_none(way, name):
    getattr(module(name), way)()


@pytest.mark.parametrize(
    ('way', 'place'), [('of_here', 'vit_plugins.made_up.py'), ('of_the_caller', __file__)]
)
def test_a_warning_keeps_its_place(way, place):
    with pytest.warns(UserWarning, match='mine') as caught:
        getattr(module('vit_plugins.made_up'), way)()
    assert [warning.filename for warning in caught] == [place]
