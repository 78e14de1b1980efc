"""Reading checkpoints: all that the framework writes, nothing that runs code, with messages."""

import argparse
import collections
import io
import os
import pickle
import shutil
import sys
import zipfile

import mmpretrain
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint
from safetensors.torch import save_file
from torch import nn

from vit_plugins.weights import safe_reading as checkpoints
from vit_plugins.weights import torch_allow_list
from vit_plugins.weights.converting import load_inert
from vit_plugins.weights.safe_reading import is_whole_checkpoint, load_checkpoint_file

new_torch = pytest.mark.skipif(
    not torch_allow_list.RESTRICTED, reason='torch.load itself has the allow-list from 2.6 on'
)


class Reduced:
    """Pickles as a call of any function, as in a malicious file."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def training_checkpoint():
    """Return all types of objects that a Runner saves."""
    hub = MessageHub('test-checkpoints')
    hub.update_scalar('train/loss', np.float32(0.5))
    hub.update_scalar('train/loss', 0.25)
    hub.update_info('rank', np.int64(3))
    model = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        'state_dict': model.state_dict(),
        'optimizer': optimizer.state_dict(),
        'message_hub': hub.state_dict(),
        'meta': {'epoch': 3, 'classes': ('a', 'b'), 'mean': np.zeros(3, np.uint8), 'ok': np.True_},
        'tags': {'x'},
        'half': torch.zeros(1, dtype=torch.bfloat16),
    }


POISONED = {
    'getattr-init': Reduced(getattr, HistoryBuffer, '__init__'),
    'getattr-globals': Reduced(getattr, Reduced(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'getattr-other-class': Reduced(getattr, collections.OrderedDict, 'fromkeys'),
    'getattr-module': Reduced(getattr, torch.Tensor, '__module__'),
    'os.system': Reduced(os.system, 'exit 3'),
    'eval': Reduced(eval, '1 + 1'),
    'numpy.load': Reduced(np.load, 'x.npy'),
}


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('name', POISONED)
def test_poisoned_pickle_is_refused(name, as_zip, tmp_path):
    path = tmp_path / 'poisoned.pth'
    torch.save(
        {'state_dict': {}, 'meta': POISONED[name]}, path, _use_new_zipfile_serialization=as_zip
    )
    with pytest.raises(pickle.UnpicklingError, match='refused'):
        load_checkpoint_file(path)


@new_torch
@pytest.mark.parametrize('name', POISONED)
def test_allow_list_keeps_torch_load_closed(name, tmp_path):
    torch.save(POISONED[name], tmp_path / 'poisoned.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'poisoned.pth')


LOADERS = {
    'ours': load_checkpoint_file,
    'host': lambda path: _load_checkpoint(str(path)),
    'converter': load_inert,
}


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('loader', LOADERS)
def test_the_environment_cannot_make_torch_run_a_file(loader, as_zip, tmp_path, monkeypatch):
    if loader == 'converter' and not torch_allow_list.RESTRICTED:
        pytest.skip('refuses to read anything')
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path, ran = tmp_path / 'poisoned.pth', tmp_path / 'ran'
    poison = {'state_dict': {}, 'meta': Reduced(os.mkdir, str(ran))}
    torch.save(poison, path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(pickle.UnpicklingError):
        LOADERS[loader](path)
    assert not ran.exists()
    if torch_allow_list.RESTRICTED:  # what it would do
        with pytest.warns(UserWarning, match='forcing weights_only=False'):
            torch.load(path)
        assert ran.exists()


def test_only_four_methods_are_readable():
    for name in ('min', 'max', 'mean', 'current'):
        assert torch_allow_list._history_getattr(HistoryBuffer, name) is getattr(
            HistoryBuffer, name
        )
    for name in ('update', '__init__', '__class__', 'register_statistics'):
        with pytest.raises(pickle.UnpicklingError, match='refused'):
            torch_allow_list._history_getattr(HistoryBuffer, name)


@pytest.mark.parametrize('as_zip', [True, False])
def test_training_checkpoint_reads_back(as_zip, tmp_path):
    saved = training_checkpoint()
    torch.save(saved, tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=as_zip)
    read = load_checkpoint_file(tmp_path / 'epoch_1.pth', 'cpu')
    assert read['meta'].pop('mean').tolist() == [0, 0, 0]
    assert read['meta'] == {'epoch': 3, 'classes': ('a', 'b'), 'ok': True}
    assert read['message_hub']['log_scalars']['train/loss'].mean() == 0.375
    assert read['message_hub']['runtime_info']['rank'] == 3
    assert torch.equal(read['state_dict']['weight'], saved['state_dict']['weight'])


def test_get_model_reads_a_training_checkpoint(tmp_path):
    model = {
        'type': 'ImageClassifier',
        'backbone': {'type': 'LeNet5', 'num_classes': 2},
        'head': {'type': 'ClsHead'},
    }
    saved = mmpretrain.get_model(Config({'model': model}))
    checkpoint = {**training_checkpoint(), 'state_dict': saved.state_dict()}
    checkpoint['meta']['dataset_meta'] = {'classes': ('cat', 'dog')}
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    read = mmpretrain.get_model(Config({'model': model}), pretrained=str(tmp_path / 'epoch_1.pth'))
    assert read._dataset_meta == {'classes': ('cat', 'dog')}
    for name, value in read.state_dict().items():
        assert torch.equal(value, saved.state_dict()[name])


@new_torch
def test_other_readers_of_the_host_read_it_too(tmp_path):
    torch.save(training_checkpoint(), tmp_path / 'epoch_1.pth')
    assert torch.load(tmp_path / 'epoch_1.pth')['meta']['epoch'] == 3


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_files_of_numpy_1_and_2(module, tmp_path):
    file = io.BytesIO()
    values = {'array': np.arange(3.0), 'scalar': np.float64(2)}
    torch.save(values, file, _use_new_zipfile_serialization=False)
    here = np.zeros(1).__reduce__()[0].__module__.encode()
    pickled = file.getvalue()
    assert here in pickled
    (tmp_path / 'numpy.pth').write_bytes(pickled.replace(here, module.encode()))
    read = load_checkpoint_file(tmp_path / 'numpy.pth')
    assert read['array'].tolist() == [0, 1, 2]
    assert read['scalar'] == 2


def test_foreign_objects_get_the_line_of_the_converter(tmp_path):
    path = tmp_path / 'official.pth'
    torch.save({'model': {'w': torch.ones(1)}, 'args': argparse.Namespace(lr=1)}, path)
    line = f'argparse.Namespace.*\n    python tools/convert_checkpoint.py {path} OUT.pth'
    with pytest.raises(pickle.UnpicklingError, match=line):
        load_checkpoint_file(path)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('share', [0, 0.001, 0.3, 0.7, 0.999])
def test_truncated_file_is_named(as_zip, share, tmp_path):
    path = tmp_path / 'epoch_2.pth'
    torch.save(training_checkpoint(), path, _use_new_zipfile_serialization=as_zip)
    assert is_whole_checkpoint(path) == as_zip
    cut(path, int(path.stat().st_size * share))
    assert not is_whole_checkpoint(path)
    with pytest.raises(RuntimeError, match=r'epoch_2.pth \([\d,]+ bytes\) is not a whole'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('content', [b'<!DOCTYPE html>', b'version https://git-lfs', b'\x80\x04'])
def test_file_of_another_kind_is_named(content, tmp_path):
    path = tmp_path / 'epoch_2.pth'
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match='a file of another type'):
        load_checkpoint_file(path)


def test_is_whole_checkpoint_wants_a_pickle_inside(tmp_path):
    with zipfile.ZipFile(tmp_path / 'other.pth', 'w') as archive:
        archive.writestr('readme.txt', 'hello')
    assert not is_whole_checkpoint(tmp_path / 'other.pth')
    assert not is_whole_checkpoint(tmp_path / 'absent.pth')


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent.pth can not be found'):
        load_checkpoint_file(tmp_path / 'absent.pth')


def test_absent_device_is_not_called_damage(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('Attempting to deserialize object on a CUDA device')

    torch.save({}, tmp_path / 'gpu.pth')
    monkeypatch.setattr(torch, 'load', fail)
    with pytest.raises(RuntimeError, match=r'^Attempting to deserialize'):
        load_checkpoint_file(tmp_path / 'gpu.pth')


@pytest.mark.parametrize('map_location', [None, 'cpu', torch.device('cpu'), lambda s, _: s])
def test_safetensors_through_the_host(map_location, tmp_path):
    model = nn.Linear(2, 3)
    save_file(model.state_dict(), tmp_path / 'model.safetensors')
    other = nn.Linear(2, 3)
    load_checkpoint(other, str(tmp_path / 'model.safetensors'), map_location, strict=True)
    assert torch.equal(other.weight, model.weight)


def test_truncated_safetensors_is_named(tmp_path):
    path = tmp_path / 'model.safetensors'
    save_file({'w': torch.ones(100)}, path)
    cut(path, 200)
    with pytest.raises(RuntimeError, match=r'model.safetensors \(200 bytes\) is not a whole'):
        load_checkpoint_file(path)


def test_missing_safetensors_package_gets_its_line(tmp_path, monkeypatch):
    (tmp_path / 'model.safetensors').touch()
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(ImportError, match='pip install safetensors'):
        load_checkpoint_file(tmp_path / 'model.safetensors')


def test_registered_with_the_host():
    loader = CheckpointLoader._get_checkpoint_loader
    assert loader('work_dirs/epoch_1.pth') is checkpoints.load_from_local
    assert loader('https://host/convit.pth') is checkpoints.load_from_http
    assert loader('http://host/convit.pth') is checkpoints.load_from_http


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """Set the hub to serve addresses from files in tmp_path, with the cache there."""
    fetched = []

    def fetch(url, path, progress):
        fetched.append(url)
        shutil.copy(tmp_path / url.rsplit('/', 1)[1], path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    return fetched


def test_training_checkpoint_from_the_network(offline_hub, tmp_path):
    torch.save(training_checkpoint(), tmp_path / 'epoch_1.pth')
    for _ in range(2):
        assert _load_checkpoint('https://host/a/epoch_1.pth')['meta']['epoch'] == 3
    assert offline_hub == ['https://host/a/epoch_1.pth']


def test_poison_from_the_network_is_refused(offline_hub, tmp_path):
    torch.save(POISONED['os.system'], tmp_path / 'poisoned.pth')
    with pytest.raises(pickle.UnpicklingError, match='refused'):
        _load_checkpoint('https://host/poisoned.pth')


def test_nameless_downloads_do_not_share_a_place(offline_hub, tmp_path):
    save_file({'w': torch.ones(1)}, tmp_path / 'model.safetensors')
    assert _load_checkpoint('https://host/one/model.safetensors')['w'] == 1
    save_file({'w': torch.zeros(1)}, tmp_path / 'model.safetensors')
    assert _load_checkpoint('https://host/two/model.safetensors')['w'] == 0


@pytest.mark.parametrize(('restricted', 'count'), [(True, 0), (False, 1)])
def test_one_warning_below_torch_2_6(restricted, count, tmp_path, monkeypatch, logged_by):
    lines = logged_by(torch_allow_list)
    monkeypatch.setattr(torch_allow_list, 'RESTRICTED', restricted)
    monkeypatch.setattr(torch, 'load', lambda *args, **kwargs: {})
    torch_allow_list._warn_trusting.cache_clear()
    torch.save({}, tmp_path / 'a.pth')
    for _ in range(2):
        load_checkpoint_file(tmp_path / 'a.pth')
    assert len([line for line in lines if 'sources you trust' in line]) == count


def test_text_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    """The host's runner executes ``meta['config']`` as a config when it resumes."""
    ran = tmp_path / 'ran'
    run = f'a = __import__("pathlib").Path({str(ran)!r}).touch()'
    meta = {'epoch': 1, 'iter': 3, 'config': run, 'cfg': run}
    torch.save({'state_dict': {'w': torch.ones(1)}, 'meta': meta}, tmp_path / 'epoch_1.pth')
    runner = argparse.Namespace(
        load_checkpoint=lambda name, **_: CheckpointLoader.load_checkpoint(name, 'cpu'),
        train_loop=argparse.Namespace(),
        _randomness_cfg={},
        train_dataloader=argparse.Namespace(dataset=None),
    )
    with pytest.raises(AttributeError, match=r'message_hub|logger'):  # long after the text
        Runner.resume(runner, str(tmp_path / 'epoch_1.pth'))
    assert runner.train_loop._iter == 3
    assert not ran.exists()
    monkeypatch.setattr(checkpoints, '_without_code', lambda content: content)
    with pytest.raises(AttributeError):
        Runner.resume(runner, str(tmp_path / 'epoch_1.pth'))
    assert ran.exists()
