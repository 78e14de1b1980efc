"""Missing data: found before anything is built, named with folder, file, URL and md5."""

import hashlib
import io
import pickle
import re
import socket
import tarfile

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.datasets import CIFAR10

from vit_plugins.config_edits import presence
from vit_plugins.config_edits.presence import MissingDataError, require_data


def config(**dataset) -> Config:
    return Config(dict(train_dataloader=dict(dataset=dataset), val_dataloader=None))


@pytest.fixture
def no_network(monkeypatch) -> list[tuple]:
    """Block the sockets and record each attempt."""
    asked = []

    def refuse(*args, **kwargs):
        asked.append((args, socket.getdefaulttimeout()))
        raise OSError('the network is blocked')

    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    monkeypatch.setattr(socket.socket, 'connect', refuse)
    return asked


@pytest.mark.parametrize(
    ('name', 'file', 'md5'),
    [
        ('CIFAR10', 'cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e74349a'),
        ('CIFAR100', 'cifar-100-python.tar.gz', 'eb9058c3a382ffc7106e4002c42a8d85'),
    ],
)
def test_cifar_without_network(name, file, md5, no_network, tmp_path):
    with pytest.raises(MissingDataError) as error:
        require_data(config(type=name, data_root=str(tmp_path)))
    text = str(error.value)
    for part in (str(tmp_path), file, f'https://www.cs.toronto.edu/~kriz/{file}', md5):
        assert part in text
    assert 'blocked' in text
    assert '--data-root DIR' in text
    assert {timeout for _, timeout in no_network} == {presence.SOCKET_TIMEOUT}
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('Flowers102', ('robots.ox.ac.uk', '102flowers.tgz', '52808999861908f626f3c1f4e79d11fa')),
        ('ImageNet', ('https://image-net.org/', 'DIR/meta/val.txt')),
    ],
)
def test_host_data_that_cannot_be_fetched(name, parts, tmp_path):
    with pytest.raises(MissingDataError) as error:
        require_data(config(type=name, data_root=str(tmp_path / 'none')))
    for part in (f'{name} lacks', 'get it: ', *parts):
        assert part in str(error.value)


def test_mnist_names_its_four_files(no_network, tmp_path):
    with pytest.raises(MissingDataError) as error:
        require_data(config(type='FashionMNIST', data_root=str(tmp_path)))
    entry = r'file: \S+-ubyte\.gz\n +URL: +http\S+\n +md5: +\w{32}'
    assert len(re.findall(entry, str(error.value))) == 4


def test_download_false_is_respected(no_network, tmp_path):
    with pytest.raises(MissingDataError):
        require_data(config(type='CIFAR10', data_root=str(tmp_path), download=False))
    assert no_network == []


def test_only_the_first_rank_downloads(no_network, tmp_path, monkeypatch):
    monkeypatch.setattr(presence, 'is_main_process', lambda: False)
    with pytest.raises(MissingDataError, match='CIFAR10 is not'):
        require_data(config(type='CIFAR10', data_root=str(tmp_path)))
    assert no_network == []


def test_a_rank_that_has_the_data_ends_with_one_that_lacks_them(tmp_path, monkeypatch):
    other = (['CIFAR10 is not here'], {})
    monkeypatch.setattr(presence, 'all_gather_object', lambda mine: [mine, other])
    with pytest.raises(MissingDataError, match='CIFAR10 is not here'):
        require_data(config(type='Digits'))


@pytest.fixture
def tiny_cifar(monkeypatch, tmp_path) -> bytes:
    """Return an archive of the right layout, and patch the md5s that the host expects."""
    content = {'data': np.zeros((2, 3072), np.uint8), 'labels': [0, 1]}
    names = ('data_batch_1', 'test_batch')
    blobs = {name: pickle.dumps(content | {'name': name}) for name in names}
    blobs['batches.meta'] = pickle.dumps({'label_names': ['a', 'b']})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w:gz') as tar:
        for name, blob in blobs.items():
            info = tarfile.TarInfo(f'cifar-10-batches-py/{name}')
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))

    def md5(blob: bytes) -> str:
        return hashlib.md5(blob).hexdigest()

    monkeypatch.setattr(CIFAR10, 'tgz_md5', md5(archive.getvalue()))
    for part, name in (('train_list', 'data_batch_1'), ('test_list', 'test_batch')):
        monkeypatch.setattr(CIFAR10, part, [[name, md5(blobs[name])]])
    meta = dict(filename='batches.meta', key='label_names', md5=md5(blobs['batches.meta']))
    monkeypatch.setattr(CIFAR10, 'meta', meta)
    return archive.getvalue()


def test_placing_the_file_as_the_message_says_suffices(tiny_cifar, no_network, tmp_path):
    cfg = config(type='CIFAR10', data_root=str(tmp_path))
    with pytest.raises(MissingDataError, match=CIFAR10.tgz_md5):
        require_data(cfg)
    (tmp_path / CIFAR10.filename).write_bytes(tiny_cifar)
    require_data(cfg)
    assert len(CIFAR10(data_root=str(tmp_path))) == 2
    damaged = tmp_path / CIFAR10.base_folder / 'test_batch'
    damaged.write_bytes(b'half')
    require_data(cfg)  # unpacked anew
    (tmp_path / CIFAR10.filename).unlink()
    damaged.write_bytes(b'half')
    with pytest.raises(MissingDataError, match=r'not \(wholly\) in the folder'):
        require_data(cfg)


def test_folders_are_named(tmp_path):
    absent = tmp_path / 'imagenet'
    with pytest.raises(MissingDataError, match=f'ImageNet lacks {re.escape(str(absent))}\n'):
        require_data(config(type='ImageNet', data_root=str(absent), split='train'))
    (absent / 'train').mkdir(parents=True)
    require_data(config(type='ImageNet', data_root=str(absent), split='train'))
    with pytest.raises(MissingDataError, match=re.escape(str(absent / 'val'))):
        require_data(config(type='mmpretrain.ImageNet', data_root=str(absent), split='val'))
    listed = dict(data_prefix=dict(img_path='train'), ann_file='list.txt')
    with pytest.raises(MissingDataError, match=re.escape(str(absent / 'list.txt'))):
        require_data(config(type='CustomDataset', data_root=str(absent), **listed))


def test_wrapped_data_sets_are_found(tmp_path):
    inner = [dict(type='Digits'), dict(type='CustomDataset', data_root=str(tmp_path / 'no'))]
    cfg = config(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=inner))
    with pytest.raises(MissingDataError, match=re.escape(str(tmp_path / 'no'))):
        require_data(cfg)
    require_data(cfg, ['val', 'test'])


def test_remote_and_embedded_data_ask_for_nothing(no_network):
    require_data(config(type='CustomDataset', data_root='s3://bucket/images', data_prefix='train'))
    require_data(config(type='Digits'))
    assert no_network == []


def test_unknown_data_set():
    with pytest.raises(KeyError, match='no dataset is registered under the name'):
        require_data(config(type='Nowhere'))
