"""The operations of a pickle with allowed names, byte by byte."""

import io
import pickle

import pytest
from mmengine.logging import HistoryBuffer

from vit_plugins.datasets import _restricted_pickle as restricted_pickle
from vit_plugins.weights import torch_allow_list
from vit_plugins.weights.allow_list_unpickler import AllowListUnpickler

HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
ATTRIBUTES = b'}X\x04\x00\x00\x00meanK\x01s'  # {'mean': 1}
STATES = {'dict': ATTRIBUTES, 'attributes': b'(N' + ATTRIBUTES + b't', 'anything': b'K\x01'}


def read(content):
    return torch_allow_list._CheckpointUnpickler(io.BytesIO(content)).load()


def read_annotation(content):
    return restricted_pickle._Restricted(io.BytesIO(content)).load()


@pytest.mark.parametrize('state', STATES)
@pytest.mark.parametrize(
    ('reader', 'names'),
    [(read, torch_allow_list._known_globals()), (read_annotation, restricted_pickle._GLOBALS)],
    ids=['checkpoint', 'annotation'],
)
def test_no_name_of_a_list_takes_a_state(reader, names, state):
    """Otherwise a file could put its own methods into our classes."""
    for full_name in names:
        module, _, name = full_name.rpartition('.')
        with pytest.raises(pickle.UnpicklingError, match='on a state of its own'):
            reader(f'c{module}\n{name}\n'.encode() + STATES[state] + b'b.')
    assert callable(HistoryBuffer.mean)


def test_instances_take_one():
    assert read(HISTORY + b')\x81' + ATTRIBUTES + b'b.').mean == 1


@pytest.mark.parametrize(
    'content',
    [
        HISTORY + b')}\x92.',  # NEWOBJ_EX
        b'(i' + HISTORY[1:] + b'.',  # INST
        b'(' + HISTORY + b'o.',  # OBJ
        b'\x82\x01.',  # EXT1
        b'\x83\x01\x00.',  # EXT2
        b'\x84\x01\x00\x00\x00.',  # EXT4
    ],
)
def test_other_ways_to_make_objects_are_closed(content):
    with pytest.raises(KeyError):
        read(content)


def test_names_are_for_the_reader_to_say():
    class Nothing(AllowListUnpickler):
        def find_class(self, module, name):
            raise pickle.UnpicklingError(f'no {module}.{name}')

    with pytest.raises(pickle.UnpicklingError, match=r'no os\.system'):
        Nothing(io.BytesIO(b'cos\nsystem\n.')).load()
    assert Nothing(io.BytesIO(pickle.dumps({'a': [1, (2.5, None, 'b', True)]}, 2))).load() == {
        'a': [1, (2.5, None, 'b', True)]
    }
