"""The model index: correct entries, names that resolve, downloads that are verified."""

import hashlib

import mmpretrain
import pytest
import torch
import yaml
from mmpretrain import ModelHub

from vit_plugins.resources import resource_root
from vit_plugins.weights import download
from vit_plugins.weights import safe_reading as checkpoints
from vit_plugins.weights.index import published_digests, register_models, resolve_weights

ROOT = resource_root()
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
ENTRIES = [
    model
    for file in INDEX['Import']
    for model in yaml.safe_load((ROOT / file).read_text())['Models']
]
RELEASED = [entry for entry in ENTRIES if 'Weights' in entry]


def test_entries_are_known_to_the_host():
    known = set(mmpretrain.list_models())
    for entry in ENTRIES:
        assert entry['Name'] in known
        assert ModelHub._models_dict[entry['Name']].config == str(ROOT / entry['Config'])
        assert (ROOT / entry['Config']).is_file()


@pytest.mark.parametrize('entry', RELEASED, ids=lambda entry: entry['Name'])
def test_released_weights_name_source_and_licence(entry):
    assert entry['Metadata']['License'] == 'Apache-2.0'
    assert entry['Weights'].startswith('https://')
    assert entry['Converted From']['Code'].startswith('https://github.com/')
    assert set(entry['Results'][0]['Metrics']) == {'Top 1 Accuracy', 'Top 5 Accuracy'}


def test_get_model_by_name():
    model = mmpretrain.get_model('convit-tiny_3rdparty_in1k', backbone=dict(img_size=32))
    assert type(model.backbone).__name__ == 'ConViT'
    assert model.head.num_classes == 1000


def test_second_registration_changes_nothing():
    before = mmpretrain.list_models()
    register_models()
    assert mmpretrain.list_models() == before


def test_names_files_and_addresses_resolve(tmp_path):
    (tmp_path / 'mine.pth').touch()
    assert resolve_weights(tmp_path / 'mine.pth') == str(tmp_path / 'mine.pth')
    assert resolve_weights('https://host/a.pth') == 'https://host/a.pth'
    url = resolve_weights('convit-tiny_3rdparty_in1k')
    assert url.startswith('https://huggingface.co/timm/convit_tiny.fb_in1k/')
    assert published_digests()[url].startswith('31bf3d57')


def test_unknown_name_gets_the_near_ones():
    with pytest.raises(ValueError, match=r'Did you mean.*convit-tiny_3rdparty_in1k'):
        resolve_weights('convit-tiny_3rdparty')
    with pytest.raises(ValueError, match=r'neither a file nor a model of the index\.$'):
        resolve_weights('@@@')


def test_unreleased_weights():
    with pytest.raises(ValueError, match='No weights of convit-base-plus'):
        resolve_weights('convit-base-plus_8xb64_in1k')


URL = 'https://host/convit.pth'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Set a cache folder and a network that serves one small file."""

    def fetch(url, path, progress):
        torch.save({'w': torch.ones(1)}, path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    return tmp_path / 'checkpoints'


def test_right_digest_passes(cache, monkeypatch):
    path = checkpoints.download(URL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(published_digests(), URL, digest)
    assert checkpoints.load_from_http(URL)['w'] == 1


def test_wrong_digest_is_refused(cache, monkeypatch):
    monkeypatch.setitem(published_digests(), URL, '0' * 64)
    with pytest.raises(RuntimeError, match=r'convit.pth is not the file published at https://'):
        checkpoints.load_from_http(URL)


@pytest.mark.parametrize(('url', 'count'), [(URL, 1), ('https://host/mine.pth', 0)])
def test_missing_digest_is_said_once(url, count, cache, monkeypatch, logged_by):
    lines = logged_by(download)
    monkeypatch.setitem(published_digests(), URL, None)
    checkpoints.load_from_http(url)
    checkpoints.load_from_http(url)
    assert len([line for line in lines if 'not verified' in line]) == count


def test_no_network_tells_where_the_file_goes(cache, monkeypatch):
    def fail(url, path, progress):
        raise OSError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(ConnectionError, match=f'save it as {cache}/convit.pth'):
        checkpoints.load_from_http(URL)
