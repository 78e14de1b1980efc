import os
import re
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpretrain.engine import SwitchRecipeHook
from mmpretrain.registry import DATASETS
from PIL import Image
from torch.utils.data import DataLoader

from vit_plugins.datasets import (
    _image_cache as image_cache,
)
from vit_plugins.datasets import (
    cached_images,
    stacked_collate,
)
from vit_plugins.fileio import file_lock

LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'PackInputs'}]


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(6):
        file = tmp_path / 'photos' / 'ab'[k % 2] / f'{k}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).save(file)
    return tmp_path / 'photos'


def folder(photos, pipeline=LOAD):
    settings = {'data_root': str(photos), 'pipeline': pipeline, 'serialize_data': False}
    return {'type': 'ImageFolder', **settings}


def cached(dataset, **kwargs):
    return DATASETS.build({'type': 'CachedImages', 'dataset': dataset, **kwargs})


def test_batches_are_those_of_the_dataset(photos):
    plain, kept = DATASETS.build(folder(photos)), cached(folder(photos))
    assert len(kept) == 6
    assert kept.CLASSES == ('a', 'b')
    assert kept.get_gt_labels().tolist() == [0, 0, 0, 1, 1, 1]
    expected = stacked_collate([plain[i] for i in (4, 0)])
    batch = stacked_collate(kept.__getitems__([4, 0]))
    assert torch.equal(batch['inputs'], expected['inputs'])
    for ours, theirs in zip(batch['data_samples'], expected['data_samples'], strict=True):
        assert torch.equal(ours.gt_label, theirs.gt_label)
        assert (ours.img_path, ours.img_shape) == (theirs.img_path, theirs.img_shape)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('collate', [stacked_collate, pseudo_collate])
def test_loaders_take_it(photos, workers, collate):
    loader = DataLoader(cached(folder(photos)), 4, num_workers=workers, collate_fn=collate)
    batches = list(loader)
    assert [len(batch['inputs']) for batch in batches] == [4, 2]
    labels = [int(s.gt_label) for batch in batches for s in batch['data_samples']]
    assert labels == [0, 0, 0, 1, 1, 1]


def test_one_image_alone(photos):
    plain, kept = DATASETS.build(folder(photos)), cached(folder(photos))
    assert torch.equal(kept[3]['inputs'], plain[3]['inputs'])
    assert kept[3]['data_samples'].gt_label.tolist() == [1]


def test_seeds_of_the_batch_are_handed_on(photos):
    kept = cached(folder(photos))

    class Seeded(list):
        seeds = (7, 8)

    assert kept.__getitems__(Seeded([0, 1])).batch['draw_seeds'].tolist() == [7, 8]
    np.random.seed(0)  # noqa: NPY002
    one = kept.__getitems__([0, 1]).batch['draw_seeds']
    two = kept.__getitems__([0, 1]).batch['draw_seeds']
    np.random.seed(0)  # noqa: NPY002
    assert (kept.__getitems__([0, 1]).batch['draw_seeds'] == one).all()
    assert (one != two).all()
    assert len(set(one.tolist())) == 2


def test_the_second_run_does_not_decode(photos, tmp_path, monkeypatch):
    first = cached(folder(photos), cache_dir=str(tmp_path / 'cache'))
    monkeypatch.setattr(image_cache, '_decode_all', lambda *_: pytest.fail('decoded again'))
    again = cached(folder(photos), cache_dir=str(tmp_path / 'cache'))
    assert torch.equal(again.pixels, first.pixels)


def grow(photos):
    Image.new('RGB', (6, 5)).save(photos / 'a' / 'new.png')


def touch(photos):
    os.utime(photos / 'a' / '0.png', ns=(1, 1))


def rename(photos):
    (photos / 'a' / '0.png').rename(photos / 'a' / '00.png')


@pytest.mark.parametrize('change', [grow, touch, rename])
def test_files_that_changed_are_decoded_again(photos, tmp_path, change):
    cached(folder(photos), cache_dir=tmp_path / 'cache')
    change(photos)
    again = cached(folder(photos), cache_dir=tmp_path / 'cache')
    assert len(list((tmp_path / 'cache').glob('*.npy'))) == 2
    assert torch.equal(again.pixels, cached(folder(photos)).pixels)


def test_another_pipeline_is_another_cache(photos, tmp_path):
    cached(folder(photos), cache_dir=tmp_path)
    small = [LOAD[0], {'type': 'Resize', 'scale': (3, 3)}, LOAD[1]]
    assert cached(folder(photos, small), cache_dir=tmp_path).pixels.shape == (6, 3, 3, 3)


@pytest.mark.parametrize('damage', ['cut', 'cut late', 'other'])
def test_a_damaged_cache_is_made_again(photos, tmp_path, damage):
    first = cached(folder(photos), cache_dir=tmp_path).pixels.clone()
    (file,) = tmp_path.glob('*.npy')
    if damage.startswith('cut'):
        file.write_bytes(file.read_bytes()[: 100 if damage == 'cut' else -1])
    else:
        np.save(file, np.zeros(3))
    assert torch.equal(cached(folder(photos), cache_dir=tmp_path).pixels, first)
    assert torch.equal(torch.from_numpy(np.load(file)), first)


def test_arrays_need_no_files(tmp_path):
    digits = {'type': 'Digits', 'split': 'val', 'pipeline': [{'type': 'PackInputs'}]}
    digits['serialize_data'] = False
    kept = cached(digits, cache_dir=tmp_path)
    assert kept.pixels.shape == (179, 3, 8, 8)
    assert 'img_path' not in kept.__getitems__([0]).batch['data_samples'].metainfo
    cached({**digits, 'split': 'test'}, cache_dir=tmp_path)
    assert len(list(tmp_path.glob('*.npy'))) == 2


@pytest.mark.parametrize(
    'step',
    [
        {'type': 'RandomFlip', 'prob': 0.0, 'direction': 'horizontal'},
        {'type': 'RandomResizedCrop', 'scale': 4},
        {'type': 'ThreeAugment'},
        {'type': 'torchvision/RandomCrop', 'size': 4},
    ],
    ids=lambda step: step['type'],
)
def test_a_pipeline_that_draws_is_refused(photos, step):
    steps = [{'type': 'NumpyToPIL'}, step, {'type': 'PILToNumpy'}]
    steps = steps if '/' in step['type'] else [step]
    with pytest.raises(ValueError, match='move what is random to batch_transforms'):
        cached(folder(photos, [LOAD[0], *steps, LOAD[1]]))


def test_messages(photos, monkeypatch):
    with pytest.raises(ValueError, match=r'leaves NoneType: end it with dict\(type=.PackInputs'):
        cached(folder(photos, LOAD[:1]))
    grow(photos)
    Image.new('RGB', (9, 9)).save(photos / 'b' / 'new.png')
    with pytest.raises(ValueError, match=re.escape('(3, 5, 6) for the first and (3, 9, 9)')):
        cached(folder(photos))
    (photos / 'b' / 'new.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'image .*new\.png could not be loaded'):
        cached(folder(photos))
    monkeypatch.setattr(os, 'sysconf', lambda _: 10)
    with pytest.raises(ValueError, match=r'more than half of the 0\.0 GiB'):
        cached(folder(photos))


def test_a_system_that_does_not_tell_its_memory(photos, monkeypatch):
    monkeypatch.delattr(os, 'sysconf')
    assert len(cached(folder(photos)).pixels) == 6


def test_a_cache_where_files_cannot_be_locked(photos, tmp_path, monkeypatch, logged_by):
    said = logged_by(file_lock)

    def refuse(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(file_lock.fcntl, 'flock', refuse)
    kept = cached(folder(photos), cache_dir=tmp_path / 'cache')
    assert torch.equal(kept.pixels, cached(folder(photos)).pixels)
    (line,) = said
    assert 'cannot be locked (No locks available): each process that needs these' in line


@pytest.mark.parametrize('wrapper', [None, 'ClassSubset', 'RepeatDataset'])
def test_a_switch_of_the_pipeline_is_refused(photos, wrapper):
    """The host's hook would change a pipeline whose images are already decoded."""
    settings = {'ClassSubset': {'fraction': 1.0}, 'RepeatDataset': {'times': 2}}
    inner = {'type': 'CachedImages', 'dataset': folder(photos)}
    outer = {'type': wrapper, 'dataset': inner, **settings[wrapper]} if wrapper else inner
    dataset = DATASETS.build(outer)
    kept = dataset.dataset if wrapper else dataset
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=loader))
    with pytest.raises(ValueError, match='batch_transforms of StackedDataPreprocessor'):
        SwitchRecipeHook._switch_train_pipeline(runner, Compose(LOAD))
    assert kept.pipeline is kept.dataset.pipeline


class Tensors:
    """A dataset whose annotations contain no path of an image."""

    metainfo = {}

    def __len__(self):
        return 3

    def get_data_info(self, idx):
        return {'gt_label': idx, 'img': torch.zeros(3, 2, 2)}

    def __getitem__(self, idx):
        return {'inputs': torch.full((3, 2, 2), idx, dtype=torch.uint8)}


def test_images_without_a_name_are_kept_in_memory_only(tmp_path):
    assert cached(Tensors()).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"number 0 has neither .* \['gt_label', 'img'\]\)"):
        cached(Tensors(), cache_dir=tmp_path)


def test_files_are_looked_at_only_for_a_cache(photos, monkeypatch):
    called = []
    monkeypatch.setattr(cached_images, 'fingerprint', lambda *_: called.append(1) or 'name')
    cached(folder(photos))
    assert not called
    cached(folder(photos), cache_dir=photos)
    assert called


def test_a_first_image_that_is_damaged_is_named(photos):
    (photos / 'a' / '0.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'image .*0\.png could not be loaded'):
        cached(folder(photos))


def test_decoded_images_are_held_once(monkeypatch):
    """While one slow image is decoded, the others must not collect in memory."""
    monkeypatch.setattr(os, 'cpu_count', lambda: 2)
    alive, most, seen, others = 0, 0, [], threading.Event()

    def gone():
        nonlocal alive
        alive -= 1

    def decode(index):
        nonlocal alive, most
        seen.append(index)
        if seen.count(0) == 2 and index == 0:
            others.wait(5)
        image = torch.full((3, 2, 2), index, dtype=torch.uint8)
        alive += 1
        most = max(most, alive)
        weakref.finalize(image, gone)
        if index == 19:
            others.set()
        return image

    pixels = image_cache.decode_once(decode, 20, None)
    assert pixels[:, 0, 0, 0].tolist() == list(range(20))
    assert most <= 4


@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='the system shows no mappings')
@pytest.mark.filterwarnings('error')
def test_processes_share_the_memory_of_a_cache(photos, tmp_path):
    first = cached(folder(photos), cache_dir=tmp_path)
    (file,) = tmp_path.glob('*.npy')
    assert str(file) in Path('/proc/self/maps').read_text()
    again = cached(folder(photos), cache_dir=tmp_path)
    first.pixels[0] = 0
    assert again.pixels[0].any()
    assert np.load(file)[0].any()


def test_lazy(photos):
    kept = cached(folder(photos), lazy_init=True)
    assert not hasattr(kept, 'pixels')
    assert repr(kept).startswith('CachedImages(cache_dir=None, of ')
    assert kept.__getitems__([0]).batch['inputs'].shape == (1, 3, 5, 6)
    assert '(6, 3, 5, 6) on cpu' in repr(kept)


def test_pixels_on_a_gpu_need_the_main_process(photos):
    kept = cached(folder(photos), device='meta')
    with pytest.raises(RuntimeError, match='set num_workers=0'):
        list(DataLoader(kept, 2, num_workers=1, collate_fn=stacked_collate))
