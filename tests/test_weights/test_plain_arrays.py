"""Arrays in pickles: those that numpy writes load; crafted ones with pointers do not."""

import codecs
import collections
import copy
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from vit_plugins.datasets import _restricted_pickle as restricted_pickle
from vit_plugins.datasets._restricted_pickle import load_restricted_pickle
from vit_plugins.weights import torch_allow_list
from vit_plugins.weights.newest_checkpoint import trained_classes
from vit_plugins.weights.plain_arrays import ARRAY_GLOBALS
from vit_plugins.weights.safe_reading import load_checkpoint_file

RECONSTRUCT, SCALAR = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
FROMBUFFER = np.zeros(1).__reduce_ex__(5)[0]
ADDRESS = b'\x41' * 8  # what a crafted file would have taken for a pointer


class Crafted:
    """Pickles as a call whose result gets a state."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def dtype(code, *state):
    return Crafted(np.dtype, code, False, True, state=state or None)


def array(kind, shape=(1,), content=ADDRESS):
    return Crafted(RECONSTRUCT, np.ndarray, (0,), b'b', state=(1, shape, kind, False, content))


POINTER = dtype('O8', 3, '|', None, None, None, -1, -1, 0)
FIELDS = dtype('V8', 3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0)
DOUBLE = np.dtype('f8')
# For each name on the lists what a crafted file may do with it.
CRAFTED = {
    'numpy.dtype': {
        'objects': np.dtype('O'),
        'objects as bytes': POINTER,
        'array of objects as bytes': array(POINTER),
        'fields': FIELDS,
        'array of fields': array(FIELDS),
        'array of fields without state': array(np.dtype([('a', 'O')])),
        'fields of numbers': np.dtype([('a', 'i4')]),
        'subarray': dtype('V8', 3, '|', (np.dtype('O'), (1,)), None, None, 8, 1, 0),
        'number with fields': dtype('f8', 3, '<', None, ('a',), {'a': (DOUBLE, 0)}, 8, 1, 0),
        'number of another size': dtype('f8', 3, '<', None, None, None, 800, 8, 0),
        'string of another size': dtype('U1', 3, '<', None, None, None, 4000, 4, 8),
        'unknown order': dtype('f8', 3, '?', None, None, None, -1, -1, 0),
        'metadata': dtype('f8', 4, '<', None, None, None, -1, -1, 0, {'a': 1}),
        'short state': dtype('f8', 3),
        'no tuple': Crafted(np.dtype, 'f8', state=7),
        'dates': np.dtype('M8[s]'),
        'unknown code': Crafted(np.dtype, 'f7'),
        'list of fields': Crafted(np.dtype, [('a', 'O')]),
        'no code': Crafted(np.dtype),
    },
    'numpy.ndarray': {
        'called': Crafted(np.ndarray, (1,), 'O', ADDRESS),
        'list of objects': array(DOUBLE, content=[1.0]),
        'too large': array(DOUBLE, shape=(1000,)),
        'negative': array(DOUBLE, shape=(-1, -1)),
        'dtype in words': array('f8'),
        'dtype of none': array(None),
        'short state': Crafted(RECONSTRUCT, np.ndarray, (0,), b'b', state=(1, (1,))),
    },
    '_reconstruct': {
        'of another kind': Crafted(RECONSTRUCT, np.dtype, (0,), b'b'),
        'of nothing': Crafted(RECONSTRUCT),
    },
    'scalar': {
        'object': Crafted(SCALAR, POINTER, ADDRESS),
        'fields': Crafted(SCALAR, FIELDS, ADDRESS),
        'fields from an array': Crafted(SCALAR, np.dtype([('a', 'O')]), np.zeros(1)),
        'short': Crafted(SCALAR, DOUBLE, b'1234'),
        'long': Crafted(SCALAR, DOUBLE, ADDRESS * 2),
        'no bytes': Crafted(SCALAR, DOUBLE, 1.0),
        'no dtype': Crafted(SCALAR, 'f8', ADDRESS),
    },
    '_frombuffer': {
        'too large': Crafted(FROMBUFFER, ADDRESS, DOUBLE, (1000,), 'C'),
        'nothing, often': Crafted(FROMBUFFER, b'', DOUBLE, (2**40, 0), 'C'),
        'no dtype': Crafted(FROMBUFFER, ADDRESS, 'f8', (1,), 'C'),
        'objects': Crafted(FROMBUFFER, ADDRESS, np.dtype('O'), (1,), 'C'),
    },
    'builtins.bytes': {'of a number': Crafted(bytes, 2**31 - 1)},
}
FILES = {f'{name}: {what}': x for name, kinds in CRAFTED.items() for what, x in kinds.items()}
READERS = ['checkpoint', 'checkpoint_below_2.6', 'annotation']


@pytest.fixture(params=READERS)
def read(request, tmp_path, monkeypatch):
    """Write an object and read it back."""

    def annotation(content):
        (tmp_path / 'gnd.pkl').write_bytes(pickle.dumps(content, 2))
        return load_restricted_pickle(tmp_path / 'gnd.pkl')

    def checkpoint(content):
        torch.save(content, tmp_path / 'epoch_1.pth')
        return load_checkpoint_file(tmp_path / 'epoch_1.pth')

    if request.param == 'checkpoint' and not torch_allow_list.RESTRICTED:
        pytest.skip('torch has no allow-list')
    monkeypatch.setattr(torch_allow_list, 'RESTRICTED', request.param == 'checkpoint')
    return annotation if request.param == 'annotation' else checkpoint


def refusal(read, content):
    """Return the error that a file ends in, None if it is read."""
    try:
        read(content)
    except (pickle.UnpicklingError, TypeError) as error:
        return error
    return None


def test_crafted_files_are_refused(read):
    for name, content in FILES.items():
        error = refusal(read, {'meta': [content]})
        assert type(error) is pickle.UnpicklingError, name
        assert re.search(r'(epoch_1\.pth|gnd\.pkl) .*', str(error)), name


@pytest.mark.parametrize('name', ['objects', 'array of fields'])
def test_the_error_says_what_was_found(read, name):
    with pytest.raises(pickle.UnpicklingError, match=r"numpy\.dtype on '[OV]8'"):
        read(CRAFTED['numpy.dtype'][name])


def test_every_name_has_crafted_files():
    """A new name on a list needs crafted files here or below."""
    names = {re.sub(r'numpy\._?core\.(multiarray|numeric)\.', '', name) for name in ARRAY_GLOBALS}
    assert names == CRAFTED.keys()
    assert restricted_pickle._GLOBALS.keys() - ARRAY_GLOBALS.keys() == {
        '_codecs.encode',
        'builtins.set',
    }
    ours = {
        item[1] if isinstance(item, tuple) else item for item in torch_allow_list._safe_globals()
    }
    assert ours - ARRAY_GLOBALS.keys() == {HistoryBuffer, 'builtins.getattr'}


@pytest.mark.parametrize(
    'content',
    [
        Crafted(codecs.encode, 'abc', 'no-such-encoding'),
        Crafted(codecs.encode, 7, 'latin1'),
        Crafted(set, [[]]),
        Crafted(set, 7),
        Crafted(bytearray, -1),
        Crafted(complex, 'abc'),
        Crafted(torch.device, 'abc'),
        Crafted(collections.Counter, 7),
        Crafted(HistoryBuffer, 7, 7),
        Crafted(HistoryBuffer, state=7),
        Crafted(HistoryBuffer, state={'_log_history': POINTER}),
        Crafted(torch._utils._rebuild_tensor_v2, 7, 0, (1,), (1,), False, {}),
    ],
)
def test_crafted_calls_of_other_names_are_refused(read, content):
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        read(content)


def test_classes_of_a_crafted_checkpoint_are_refused(tmp_path):
    meta = {'dataset_meta': {'classes': array(FIELDS)}}
    torch.save({'meta': meta}, tmp_path / 'epoch_1.pth')
    with pytest.raises(pickle.UnpicklingError, match=r"numpy\.dtype on 'V8'"):
        trained_classes(str(tmp_path / 'epoch_1.pth'))


def numpys(value):
    """Return the array as numpy itself reads it: in the byte order of the machine."""
    return pickle.loads(pickle.dumps(value, 2))


CODES = ['?', 'i1', 'u8', '>i4', 'f2', '>f8', 'c16', 'S3', 'U5', '>U5']


@pytest.mark.parametrize('code', CODES)
@pytest.mark.parametrize('order', ['C', 'F'])
def test_plain_arrays_and_scalars_read_back(read, code, order):
    values = np.array([[0, 1, 0], [1, 1, 0]]).astype(code, order=order)
    saved = {'array': values, 'scalar': values[0, 1], 'dtype': values.dtype, 'nothing': values[:0]}
    saved |= {'list': [values.T], 'tuple': (values[0, 0], {'in': values}), 'zero': values[0][0:1]}
    found = read(saved)
    for one, other in (
        (found['array'], values),
        (found['nothing'], values[:0]),
        (found['list'][0], values.T),
        (found['tuple'][1]['in'], values),
    ):
        assert type(one) is np.ndarray
        assert (one.dtype, one.shape) == (numpys(other).dtype, other.shape)
        assert np.array_equal(one, other)
        assert one.flags.writeable
    assert found['scalar'] == values[0, 1]
    assert type(found['scalar']) is type(values[0, 1])
    assert found['dtype'] == values.dtype
    assert isinstance(found['dtype'], np.dtype)


def test_what_is_shared_stays_shared(read):
    inner = [np.arange(2)]
    found = read([inner, inner])
    assert found[1] is found[0]
    assert found[0][0].tolist() == [0, 1]


def nested(depth, width=10):
    """Return a small object that takes endless time to walk through."""
    content = (0,) * width
    for _ in range(depth):
        content = (content,) * width
    return content


ENDLESS = {
    'tuples': nested(12),
    'lists': [list(nested(12))],
    'dtype': Crafted(np.dtype, nested(40, 2)),
    'deep': nested(110, 1),
}


@pytest.mark.parametrize('name', [*ENDLESS, 'ring'])
def test_what_would_never_end_is_refused(read, name, tmp_path):
    ring = []
    ring.append(ring)
    with pytest.raises(pickle.UnpicklingError):
        read(ring if name == 'ring' else ENDLESS[name])


@pytest.mark.skipif(not torch_allow_list.RESTRICTED, reason='torch has no allow-list')
class TestOtherReaders:
    """``torch.load`` of others has the stand-ins: arrays that are written as arrays again."""

    def load(self, content, tmp_path):
        torch.save(content, tmp_path / 'other.pth')
        return torch.load(tmp_path / 'other.pth', weights_only=True)

    def test_crafted_files_are_refused(self, tmp_path):
        for name, content in FILES.items():
            assert refusal(lambda crafted: self.load(crafted, tmp_path), content), name

    def test_arrays_are_arrays(self, tmp_path):
        values = np.arange(6.0).reshape(2, 3)
        found = self.load({'array': values, 'dtype': values.dtype}, tmp_path)
        assert isinstance(found['array'], np.ndarray)
        assert np.array_equal(found['array'], values)
        assert np.zeros(1, found['dtype']).dtype == values.dtype
        for protocol in (2, 4, 5):
            again = pickle.dumps(found['array'], protocol)
            assert again == pickle.dumps(values, protocol)
        assert type(copy.deepcopy(np.asarray(found['array']))) is np.ndarray
