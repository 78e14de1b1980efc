"""Arrays are read as by numpy, and no array is allocated that the file does not fill."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from vit_plugins.fileio.array_files import ArrayFileError, read_npy, read_npz

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
    np.array(7, np.uint8),
    np.zeros((0, 5), np.float32),
    np.array(['a', 'bcd']),
]


def header(shape, dtype='<f4'):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {'shape': shape, 'fortran_order': False, 'descr': dtype}
    )
    return file.getvalue()


@pytest.mark.parametrize('number', range(len(ARRAYS)))
def test_as_numpy_reads_it(number, tmp_path):
    expected = ARRAYS[number]
    np.save(tmp_path / 'a.npy', expected)
    np.savez_compressed(tmp_path / 'a.npz', x=expected, y=expected)
    read = read_npz(tmp_path / 'a.npz')
    assert list(read) == ['x', 'y']
    for found in (read_npy(tmp_path / 'a.npy'), read['x']):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
        assert found.flags.writeable
        assert found.flags.f_contiguous == expected.flags.f_contiguous


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (header((2**40,)) + b'1234', r'float32 of shape \(1099511627776,\), 4,398,046,511,104 b'),
        (header((2**40, 0)), r'of shape \(1099511627776, 0\)'),
        (header((-1, 4)), r'of shape \(-1, 4\)'),
        (header((3,)) + b'12345678', '12 bytes, but 8 follow'),
        (header((1,), '|O') + b'12345678', 'holds objects'),
        (b'\x93NUMPY\x01\x00\x08\x00((((((((', 'a.npy is no whole file of arrays'),
        (b'', 'a.npy is no whole file of arrays'),
    ],
)
def test_refused(content, message, tmp_path):
    (tmp_path / 'a.npy').write_bytes(content)
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('x.npy', content)
    tracemalloc.start()
    with pytest.raises(ArrayFileError, match=message):
        read_npy(tmp_path / 'a.npy')
    with pytest.raises(ArrayFileError, match=message.replace('.npy', '.npz')):
        read_npz(tmp_path / 'a.npz')
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_packed_too_tightly(tmp_path):
    np.savez_compressed(tmp_path / 'zeros.npz', x=np.zeros(2**20, np.float32))
    with pytest.raises(ArrayFileError, match=r'1 members say that they are 4,194,432 bytes, more'):
        read_npz(tmp_path / 'zeros.npz')
    assert len(read_npz(tmp_path / 'zeros.npz', most_ratio=2000)['x']) == 2**20


def test_a_flipped_bit_is_noticed(tmp_path):
    np.savez(tmp_path / 'a.npz', x=np.arange(100.0))
    content = bytearray((tmp_path / 'a.npz').read_bytes())
    content[500] ^= 1
    (tmp_path / 'a.npz').write_bytes(content)
    with pytest.raises(ArrayFileError, match='Bad CRC-32'):
        read_npz(tmp_path / 'a.npz')


@pytest.mark.parametrize('packing', ['DEFLATED', 'BZIP2', 'LZMA'])
def test_a_member_that_is_larger_than_it_says(packing, tmp_path):
    path = tmp_path / 'a.npz'
    with zipfile.ZipFile(path, 'w', getattr(zipfile, f'ZIP_{packing}')) as archive:
        archive.writestr('x.npy', bytes(2**24))
    content = bytearray(path.read_bytes())
    for place in (22, content.index(b'PK\x01\x02') + 24):
        content[place : place + 4] = (100).to_bytes(4, 'little')
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ArrayFileError, match=r'a\.npz is no whole file of arrays'):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
