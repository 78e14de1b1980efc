"""The memory of a checkpoint is known before it is allocated; crafted ones allocate nothing."""

import pickle
import resource
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch

from vit_plugins.datasets._restricted_pickle import load_restricted_pickle
from vit_plugins.weights.safe_reading import (
    DamagedCheckpointError,
    is_whole_checkpoint,
    load_checkpoint_file,
)

MARK, TUPLE, REDUCE, STOP = b'(', b't', b'R', b'.'
KNOT = b'K\x00K\x00\x86' + b'q\x00h\x00\x86' * 60  # a tuple in which 0 stands 2^61 times


def text(words):
    return b'X' + len(words).to_bytes(4, 'little') + words.encode()


def number(value):
    return pickle.dumps(value, 2)[2:-1]


def storage(count, kind='torch\nFloatStorage', key='0'):
    """Write the storage of a tensor as torch does."""
    pid = text('storage') + b'c' + kind.encode() + b'\n' + text(key) + text('cpu') + number(count)
    return MARK + pid + TUPLE + b'Q'


def tensor(count, shape, steps):
    """Write a tensor as torch does."""
    shape, steps = (
        pickle.dumps(value, 2)[2:-1].replace(b'q\x00', b'') for value in (shape, steps)
    )
    args = storage(count) + number(0) + shape + steps + b'\x89ccollections\nOrderedDict\n)R'
    return b'ctorch._utils\n_rebuild_tensor_v2\n' + MARK + args + TUPLE + REDUCE


def archive(pickled, records=None, packing=zipfile.ZIP_STORED):
    """Write a file of torch with a pickle and a storage of 8 numbers."""
    file = BytesIO()
    with zipfile.ZipFile(file, 'w', packing) as written:
        written.writestr('x/data.pkl', b'\x80\x02' + pickled + STOP)
        written.writestr('x/version', '3\n')
        for name, content in (records or {'data/0': bytes(32)}).items():
            written.writestr(f'x/{name}', content)
    return file.getvalue()


def call(name, *args):
    return b'c' + name.encode() + b'\n' + MARK + b''.join(map(number, args)) + TUPLE + REDUCE


ASKING = {
    'storage larger than its record': tensor(9, (9,), (1,)),
    'storage of terabytes': tensor(2**40, (1,), (1,)),
    'storage of a negative size': tensor(-1, (1,), (1,)),
    'storage of another kind': storage(8, 'torch\nNoStorage'),
    'storage that is not there': storage(1, key='7'),
    'storage under a name that takes forever to write': b'('
    + text('storage')
    + b'ctorch\nFloatStorage\n'
    + KNOT
    + text('cpu')
    + b'K\x01tQ',
    'one number shown a billion times': tensor(8, (2**30,), (0,)),
    'tensor by its size': call('torch\nFloatTensor', 2**40),
    'many tensors by their size': b'(' + call('torch\nFloatTensor', 2**19) * 100 + b't',
    'tensor by its shape': call('torch\nFloatTensor', 2**20, 2**20),
    'bytearray': call('__builtin__\nbytearray', 2**40),
    'bytes': call('__builtin__\nbytes', 2**40),
    'a key that takes forever to hash': b'}' + KNOT + b'K\x00s',
    'keys that do': b'}(' + KNOT + b'K\x00u',
    'a dict of one': b'(' + KNOT + b'K\x00d',
    'a set of one': b'c__builtin__\nset\n(]' + KNOT + b'atR',
    'an ordered dict of one': b'ccollections\nOrderedDict\n(](' + KNOT + b'K\x00latR',
    'a persistent number': b'K\x00Q',
    'a call of a number': b'K\x00)R',
}


@pytest.fixture
def no_more_memory():
    """Set a limit of a gigabyte on allocations, so that a bomb fails and the process survives."""
    with open('/proc/self/statm') as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize('name', ASKING)
def test_refused_before_it_is_made(name, tmp_path, no_more_memory):
    (tmp_path / 'epoch_1.pth').write_bytes(archive(ASKING[name]))
    with pytest.raises(
        pickle.UnpicklingError, match=r'epoch_1\.pth (holds more|is not as)'
    ) as found:
        load_checkpoint_file(tmp_path / 'epoch_1.pth')
    assert 'MemoryError' not in str(found.value)


@pytest.mark.parametrize('name', [name for name in ASKING if 'key' in name or 'set' in name])
def test_refused_in_annotations(name, tmp_path):
    (tmp_path / 'gnd.pkl').write_bytes(b'\x80\x02' + ASKING[name] + STOP)
    with pytest.raises(pickle.UnpicklingError, match=r'gnd\.pkl'):
        load_restricted_pickle(tmp_path / 'gnd.pkl')


def test_bytearray_of_an_annotation_is_as_long_as_what_follows(tmp_path, no_more_memory):
    path = tmp_path / 'gnd.pkl'
    path.write_bytes(b'\x80\x05\x96' + (2**40).to_bytes(8, 'little') + b'abc.')
    with pytest.raises(pickle.UnpicklingError, match=r'1,099,511,627,776 bytes are announced'):
        load_restricted_pickle(path)
    path.write_bytes(pickle.dumps(bytearray(b'abc'), 5))
    assert load_restricted_pickle(path) == bytearray(b'abc')


def test_what_torch_writes_is_not_in_the_way(tmp_path):
    shared = torch.arange(12.0)
    content = {
        'view': shared.view(3, 4).t(),
        'part': shared[2:5],
        'one number': torch.tensor(1.0).expand(1000),
        'none': torch.zeros(0, 7),
        'kinds': [torch.zeros(2, dtype=d) for d in (torch.bool, torch.int64, torch.bfloat16)],
        'sparse': torch.eye(3).to_sparse(),
        'parameter': torch.nn.Parameter(shared),
        'set': {1, 2},
    }
    for path, as_zip in ((tmp_path / 'zip.pth', True), (tmp_path / 'old.pth', False)):
        torch.save(content, path, _use_new_zipfile_serialization=as_zip)
        read = load_checkpoint_file(path)
        assert torch.equal(read['view'], content['view'])
        assert read['one number'].shape == (1000,)
        assert torch.equal(read['sparse'].to_dense(), torch.eye(3))


@pytest.mark.parametrize('protocol', [3, 4, 5])
def test_newer_protocols_of_pickle(protocol, tmp_path):
    content = {'w': torch.arange(3.0), 'classes': ('a', 'b'), 'mean': np.arange(6.0).reshape(2, 3)}
    torch.save(content, tmp_path / 'new.pth', pickle_protocol=protocol)
    read = load_checkpoint_file(tmp_path / 'new.pth')
    assert torch.equal(read['w'], content['w'])
    assert read['classes'] == ('a', 'b')
    assert np.array_equal(read['mean'], content['mean'])


def test_poison_in_newer_protocols(tmp_path):
    torch.save({'x': print}, tmp_path / 'new.pth', pickle_protocol=4)
    with pytest.raises(pickle.UnpicklingError, match=r'builtins\.print'):
        load_checkpoint_file(tmp_path / 'new.pth')


def test_archives_of_other_makers(tmp_path):
    records = {'data/0': bytes(32)}
    for content in (
        archive(tensor(8, (8,), (1,)), {'data/0': bytes(10**6)}, zipfile.ZIP_DEFLATED),
        archive(tensor(8, (8,), (1,)), records)[:-30],
    ):
        (tmp_path / 'epoch_1.pth').write_bytes(content)
        assert not is_whole_checkpoint(tmp_path / 'epoch_1.pth')
        with pytest.raises(DamagedCheckpointError, match='is not a whole checkpoint'):
            load_checkpoint_file(tmp_path / 'epoch_1.pth')


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    """Bits of weights, pickle and table of the archive: an error or the same content."""
    path = tmp_path / 'epoch_1.pth'
    torch.save({'w': torch.arange(64.0), 'meta': {'epoch': 3, 'classes': ('a', 'b')}}, path)
    content = path.read_bytes()
    noticed = 0
    for place in np.random.default_rng(0).integers(len(content) * 8, size=150):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            read = load_checkpoint_file(path)
        except (RuntimeError, pickle.UnpicklingError):
            noticed += 1
        else:
            assert torch.equal(read['w'], torch.arange(64.0))
            assert read['meta'] == {'epoch': 3, 'classes': ('a', 'b')}
    assert noticed > 75  # the others lie in what nobody reads, such as padding


def test_files_without_checksums_are_read(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'whole.pth')
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('this torch always writes them')
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({'w': torch.ones(2)}, tmp_path / 'without.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(load_checkpoint_file(tmp_path / 'without.pth')['w'], torch.ones(2))
