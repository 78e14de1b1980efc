import pickle

import numpy as np
import pytest

from vit_plugins.datasets._restricted_pickle import load_restricted_pickle

# np.array([1.0, 2.0]) of protocol 2 as numpy 1 writes it; numpy 2 says numpy._core.
ARRAY = (
    b'\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85c_codecs\nencode\n'
    b'X\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86R\x87R(K\x01K\x02\x85cnumpy\ndtype\n'
    b'X\x02\x00\x00\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff'
    b'\xffK\x00tb\x89c_codecs\nencode\n'
    b'X\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc3\xb0?\x00\x00\x00\x00\x00\x00\x00@'
    b'X\x06\x00\x00\x00latin1\x86Rtb.'
)


@pytest.fixture
def load(tmp_path):
    def write_and_load(content):
        (tmp_path / 'gnd.pkl').write_bytes(content)
        return load_restricted_pickle(tmp_path / 'gnd.pkl')

    return write_and_load


def test_plain_containers(load):
    assert load(b'\x80\x02}X\x01\x00\x00\x00a](K\x01G?\xf0\x00\x00\x00\x00\x00\x00Nes.') == {
        'a': [1, 1.0, None]
    }


def test_strings_of_python_2(load):
    assert load(b'\x80\x02]U\x03abca.') == ['abc']
    assert load(b"(lp0\nS'abc'\np1\na.") == ['abc']  # protocol 0


@pytest.mark.parametrize('core', [b'core', b'_core'])
def test_arrays_of_numpy_1_and_2(load, core):
    array = load(ARRAY.replace(b'numpy.core', b'numpy.' + core))
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_what_numpy_writes_here(load, protocol):
    for value in (np.arange(6).reshape(2, 3), np.array([], np.int64), np.float32(2.5)):
        assert np.array_equal(load(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (b'cos\nsystem\n(S"true"\ntR.', 'os.system'),
        (b'cposix\nsystem\n(S"true"\ntR.', 'posix.system'),
        (b'c__builtin__\neval\n(S"1"\ntR.', '__builtin__.eval'),
        (b'\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.', 'builtins.getattr'),
        (b'cnumpy\nload\n.', 'numpy.load'),
    ],
)
def test_other_globals_are_refused_by_name(load, content, name):
    with pytest.raises(pickle.UnpicklingError, match=rf'gnd\.pkl names {name}, which'):
        load(content)


@pytest.mark.parametrize('content', [b'', ARRAY[:90], b'<html>404</html>', b'\x80\x02}.junk'[:2]])
def test_damaged(load, content):
    with pytest.raises(pickle.UnpicklingError, match=r'gnd\.pkl is not a complete pickle'):
        load(content)


def test_no_memory_is_filled_by_bytes_of_a_number(load):
    with pytest.raises(pickle.UnpicklingError, match=r'builtins\.bytes on \(2147483647,\)'):
        load(b'\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.')


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pkl'):
        load_restricted_pickle(tmp_path / 'none.pkl')
