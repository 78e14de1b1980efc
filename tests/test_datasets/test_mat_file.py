"""MAT-files as SciPy writes and reads them, and an error for sizes that exceed the file."""

import struct
import zlib

import numpy as np
import pytest

from vit_plugins.datasets._mat_file import HEADER, read_mat_file

scipy_io = pytest.importorskip('scipy.io')
rng = np.random.default_rng(0)
ARRAYS = {
    'X': rng.integers(0, 255, (4, 3, 3, 5), np.uint8),
    'y': np.arange(5.0).reshape(5, 1),  # small whole numbers, which are stored in bytes
    'long_name_of_an_array': rng.standard_normal((2, 7)).astype('f4'),
    'none': np.zeros((0, 3), np.int16),
    'one': np.array([[3]], np.int32),
    'large': np.array([[2**40]], np.int64),
}


@pytest.mark.parametrize('packed', [False, True])
def test_as_scipy_reads_it(packed, tmp_path):
    other = {'text': 'abc', 'cell': np.array(['a', 1], object), 'complex': np.array([1j])}
    scipy_io.savemat(tmp_path / 'a.mat', {**other, **ARRAYS}, do_compression=packed)
    theirs = scipy_io.loadmat(tmp_path / 'a.mat')
    for name, found in read_mat_file(tmp_path / 'a.mat', tuple(ARRAYS)).items():
        assert found.dtype == theirs[name].dtype
        assert np.array_equal(found, theirs[name])
    for name in other:
        with pytest.raises(ValueError, match='not real numbers'):
            read_mat_file(tmp_path / 'a.mat', (name,))
    with pytest.raises(KeyError):
        read_mat_file(tmp_path / 'a.mat', ('absent',))


def test_nothing_is_made_that_the_file_does_not_fill(tmp_path):
    scipy_io.savemat(tmp_path / 'a.mat', {'X': ARRAYS['X']})
    content = (tmp_path / 'a.mat').read_bytes()
    head, matrix = content[:HEADER], content[HEADER:]
    dims = struct.pack('<4i', *ARRAYS['X'].shape)
    assert matrix.count(dims) == 1
    large = matrix.replace(dims, struct.pack('<4i', 2**20, 2**20, 3, 5))
    bomb = zlib.compress(matrix[:56] + bytes(2**24))
    count = 2**22 - 64  # bytes that become numbers of eight
    parts = [struct.pack('<4I', 6, 8, 6, 0), struct.pack('<4I', 5, 8, count, 1)]
    parts += [struct.pack('<2H4s', 1, 1, b'X'), struct.pack('<2I', 2, count) + bytes(count)]
    wide = b''.join(parts)
    wide = zlib.compress(struct.pack('<2I', 14, len(wide)) + wide)
    wide = (struct.pack('<2I', 15, len(wide)) + wide).ljust(2**17, b'\0')
    for changed, message in (
        (head + wide, r'an array of 4,194,240 float64 is compressed too much'),
        (head + large, r'180 numbers do not fill the shape \(1048576, 1048576, 3, 5\)'),
        (head + struct.pack('<2I', 15, len(bomb)) + bomb, 'compressed more than 64 times'),
        (head + struct.pack('<2I', 14, 2**32 - 1) + matrix[8:], 'is incomplete'),
        (b'MATLAB 7.3'.ljust(HEADER), 'no header of version 5'),
    ):
        (tmp_path / 'a.mat').write_bytes(changed)
        with pytest.raises(ValueError, match=message):
            read_mat_file(tmp_path / 'a.mat', ('X',))
