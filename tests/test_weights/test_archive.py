"""Archives in which Python and torch would find different things are refused."""

import io
import pickle
import struct
import tarfile
import zipfile

import pytest
import torch

from vit_plugins.weights.archive import DamagedArchiveError, check_archive, require_same_for_torch
from vit_plugins.weights.safe_reading import DamagedCheckpointError, load_checkpoint_file

HARMLESS = pickle.dumps({'state_dict': {}}, 2)
BOMB = b'\x80\x02cbuiltins\nbytearray\nJ' + struct.pack('<i', 50_000_000) + b'\x85R.'
END = 22
NAMED = {
    'another case, in front': ['a/DATA.PKL', 'a/data.pkl'],
    'another case, behind': ['a/data.pkl', 'a/DATA.PKL'],
    'another folder': ['a/DATA.PKL', 'ab/data.pkl'],
    'no folder': ['a/data.pkl', 'DATA.PKL'],
    'a letter that is not in ASCII': ['a/data.pkl', 'a/d\xe4ta.pkl'],
    'the case of a letter that is not in ASCII': ['a/data.p\u212al', 'a/data.pkl'],
    'a folder alone': ['a/data.pkl', 'a/'],
}


def written(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def parts(members):
    """Return the records of an archive, its directory and its end."""
    content = written(members)
    length, start = struct.unpack_from('<II', content, len(content) - END + 12)
    return content[:start], bytearray(content[start : start + length]), content[start + length :]


def two_directories(for_torch, for_python):
    """Write an archive whose end names one directory, while another one is in front of it."""
    records, directory, end = parts(for_torch)
    others, other, _ = parts(for_python)
    place = last = 0
    while place < len(other):
        last = place
        *lengths, _, _, _, _, start = struct.unpack_from('<3H2H2I', other, place + 28)
        # Python adds what lies between the directory that the end names and its own
        struct.pack_into('<I', other, place + 42, start + len(records) - len(others))
        place += 46 + sum(lengths)
    padding = len(directory) - len(other)
    struct.pack_into('<H', other, last + 32, padding)  # a comment, so that both are as long
    other += bytes(padding)
    return records + directory + others + other + end


@pytest.mark.parametrize('name', NAMED)
def test_names_that_can_be_taken_for_others(name, tmp_path):
    path = tmp_path / 'a.pth'
    members = [(n, HARMLESS if n.endswith('/data.pkl') else BOMB) for n in NAMED[name]]
    path.write_bytes(written([('a/version', '3\n'), *members]))
    with pytest.raises(DamagedCheckpointError, match=r'one folder|record twice|in two ways'):
        load_checkpoint_file(path)


def test_a_name_that_ends_before_its_end(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_bytes(written([('a/data.pkl', HARMLESS), ('a/0_x', b'')]).replace(b'0_x', b'0\0x'))
    with pytest.raises(DamagedCheckpointError, match='in two ways'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('protocol', [2, 4])
def test_two_directories(protocol, tmp_path):
    path = tmp_path / 'a.pth'
    version = ('a/version', '3\n')
    shown = [version, ('a/data.pkl', pickle.dumps({'state_dict': {}}, protocol))]
    path.write_bytes(two_directories([version, ('a/data.pkl', BOMB), ('a/x', b'x' * 99)], shown))
    with zipfile.ZipFile(path) as archive:
        assert archive.read('a/data.pkl') == shown[1][1]
    assert torch._C.PyTorchFileReader(str(path)).get_record('data.pkl') == BOMB
    with pytest.raises(DamagedCheckpointError, match='another one may lie there'):
        load_checkpoint_file(path)
    with pytest.raises(DamagedArchiveError, match='torch finds other records'):
        require_same_for_torch(path)


class Program(torch.nn.Module):
    """Records that it was run, which TorchScript does as soon as it is loaded."""

    def __init__(self, path):
        super().__init__()
        self.path: str = path

    @torch.jit.export
    def __getstate__(self):
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path, self.training = state
        print(torch.from_file(self.path, shared=True, size=1))  # else torch leaves it out

    def forward(self, x):
        return x


@pytest.mark.filterwarnings('ignore')
def test_no_torchscript_is_run(tmp_path):
    path, ran = tmp_path / 'a.pth', tmp_path / 'ran'
    torch.jit.save(torch.jit.script(Program(str(ran))), path)
    content = path.read_bytes()
    with pytest.raises(DamagedCheckpointError, match='a program of TorchScript'):
        load_checkpoint_file(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    shown = [('a/version', '3\n'), ('a/data.pkl', pickle.dumps({'state_dict': {}}, 4))]
    path.write_bytes(two_directories(members, shown))
    with pytest.raises(DamagedCheckpointError):
        load_checkpoint_file(path)
    assert not ran.exists()
    torch.jit.load(io.BytesIO(written(members)))
    assert ran.exists()  # it would have been


def change(content, place, kind, value):
    content = bytearray(content)
    struct.pack_into(kind, content, place % len(content), value)
    return bytes(content)


@pytest.mark.parametrize(
    'changed',
    [
        lambda whole, _: b'PK\x03\x04' + whole,
        lambda whole, _: whole + b'x',
        lambda whole, _: change(whole, -2, '<H', 1) + b'x',
        lambda whole, _: change(whole, -6, '<I', 0),
        lambda _, torchs: change(torchs, -34, '<Q', 0),
        lambda _, torchs: change(torchs, -98 + 48, '<Q', 0),
        lambda _, torchs: change(torchs, -98 + 4, '<Q', 45),
        lambda whole, _: whole[:9],
    ],
)
def test_directory_where_nothing_else_can_be(changed, tmp_path):
    """For Python's archives, which have one end record, and torch's, which have three."""
    path = tmp_path / 'a.pth'
    torch.save({'w': torch.ones(2)}, path)
    both = written([('a/version', '3\n'), ('a/data.pkl', HARMLESS)]), path.read_bytes()
    for whole in both:
        path.write_bytes(whole)
        assert 'data.pkl' in check_archive(path)
        require_same_for_torch(path)
    path.write_bytes(changed(*both))
    with pytest.raises(DamagedArchiveError):
        check_archive(path)


def test_a_tar_archive_is_none(tmp_path):
    """An old ``torch.load`` unpacks it to the disk; its first member can be five pickles."""
    pickles = b'\x80\x02N.' * 5
    with tarfile.open(tmp_path / 'a.pth', 'w') as archive:
        info = tarfile.TarInfo(pickles.decode('latin1'))
        archive.addfile(info)
    content = bytearray((tmp_path / 'a.pth').read_bytes())
    content[:100] = pickles.ljust(100, b'\0')
    content[148:156] = b' ' * 8
    content[148:156] = b'%06o\0 ' % sum(content[:512])
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match='tar'):
        load_checkpoint_file(tmp_path / 'a.pth')
