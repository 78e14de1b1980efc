"""Files of faiss are read without faiss, and crafted files never reach it."""

import struct

import faiss
import numpy as np
import pytest

from vit_plugins.inference.faiss_file import FaissFileError, read_faiss_file

VECTORS = np.random.default_rng(0).standard_normal((300, 6)).astype('float32')
SLOTS = 8  # so that many points stand on upper levels


@pytest.fixture(scope='module')
def content(tmp_path_factory):
    index = faiss.IndexHNSWFlat(6, SLOTS // 2, faiss.METRIC_INNER_PRODUCT)
    index.add(VECTORS)
    return faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize('metric', [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2])
@pytest.mark.parametrize('count', [0, 1, 300])
def test_vectors_as_faiss_has_them(metric, count, tmp_path):
    kinds = {False: faiss.IndexFlat(6, metric), True: faiss.IndexHNSWFlat(6, SLOTS, metric)}
    for has_graph, index in kinds.items():
        index.add(VECTORS[:count])
        faiss.write_index(index, str(tmp_path / 'a.faiss'))
        found = read_faiss_file(tmp_path / 'a.faiss')
        assert found.has_graph == has_graph
        assert np.array_equal(found.vectors, VECTORS[:count])


def places(content):
    """Return the positions where the lists of a graph begin, and the end of the last one."""
    place = 4 + struct.calcsize('<iqqqBi')
    found = []
    for size in (8, 4, 4, 8, 4):
        (count,) = struct.unpack_from('<Q', content, place)
        found.append(place + 8)
        place += 8 + count * size
    return *found, place


def changed(content, name):
    chances, slots, levels, offsets, neighbours, end = places(content)
    upper = int(np.frombuffer(content, '<i4', 300, levels).argmax())
    lower = int(np.frombuffer(content, '<i4', 300, levels).argmin())
    (start,) = struct.unpack_from('<Q', content, offsets + 8 * upper)
    (base,) = struct.unpack_from('<i', content, slots + 4)
    where, kind, value = {
        'a list of terabytes': (chances - 8, '<Q', 2**40),
        'a list of 2^64': (neighbours - 8, '<Q', 2**64 - 1),
        'a list of chances that is empty': (chances - 8, '<Q', 0),
        'a chance of a level': (chances, '<d', 0.0),
        'a chance that is no number': (chances + 8, '<d', float('nan')),
        'no width to build by': (end + 8, '<i', 0),
        'a width that takes all memory': (end + 12, '<i', 2**31 - 1),
        'more points': (8, '<q', 2**40),
        'other dimensions': (4, '<i', 7),
        'a neighbour beyond the end': (neighbours, '<i', 300),
        'a neighbour before the start': (neighbours + 4, '<i', -2),
        'a neighbour below its level': (neighbours + 4 * (start + base), '<i', lower),
        'a level too high': (levels, '<i', 100),
        'a level of none': (levels, '<i', 0),
        'an offset': (offsets + 8, '<Q', 2**63),
        'a negative slot': (slots + 8, '<i', -4),
        'an entry that is no point': (end, '<i', 300),
        'a top that is none': (end + 4, '<i', 5),
        'another kind': (0, '<i', 7),
        'vectors of another length': (end + 20 + 4, '<i', 5),
    }[name]
    content = bytearray(content)
    if name == 'a list of chances that is empty':
        del content[chances : slots - 8]
    struct.pack_into(kind, content, where, value)
    return bytes(content)


NAMES = ['a list of terabytes', 'a list of 2^64', 'more points', 'other dimensions']
NAMES += ['a neighbour beyond the end', 'a neighbour before the start', 'a level too high']
NAMES += ['a neighbour below its level', 'a level of none', 'an offset', 'a negative slot']
NAMES += ['an entry that is no point', 'a top that is none', 'another kind']
NAMES += ['vectors of another length', 'a list of chances that is empty', 'a chance of a level']
NAMES += ['a chance that is no number', 'no width to build by', 'a width that takes all memory']


@pytest.mark.parametrize('name', NAMES)
def test_crafted(content, name, tmp_path):
    (tmp_path / 'a.faiss').write_bytes(changed(content, name))
    with pytest.raises(FaissFileError, match=r'a\.faiss is no whole index of faiss'):
        read_faiss_file(tmp_path / 'a.faiss')


@pytest.mark.parametrize('change', [lambda c: c[:-1], lambda c: c + b'x', lambda c: b'', bytes])
def test_cut_and_prolonged(content, change, tmp_path):
    (tmp_path / 'a.faiss').write_bytes(change(content))
    if change is bytes:
        assert len(read_faiss_file(tmp_path / 'a.faiss').vectors) == 300
        return
    with pytest.raises(FaissFileError):
        read_faiss_file(tmp_path / 'a.faiss')
