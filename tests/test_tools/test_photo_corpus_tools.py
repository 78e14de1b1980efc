"""The corpus of odd photo files through each tool: refused by name, or skipped and listed."""

import csv
import json
import os
import re
import runpy
import signal
from pathlib import Path
from types import SimpleNamespace

import corpus
import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from small_work_dir import make_photos, make_work_dir

from vit_plugins.datasets.image_check import inspect_image
from vit_plugins.inference import photos as photos_module
from vit_plugins.studies import folds

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning'),
]
CLASSES = ['odd', 'ox', 'rat']
RESIZED = "\npipeline.insert(1, dict(type='Resize', scale=16))\n"


@pytest.fixture(autouse=True)
def _no_hang():
    def stop(*_):
        raise TimeoutError('hangs')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(240)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Write two classes of plain photos and one of the corpus."""
    root = tmp_path_factory.mktemp('corpus') / 'photos'
    make_photos(root, CLASSES[1:], 12)
    return root, corpus.write_corpus(root / 'odd')


@pytest.fixture(scope='module')
def work_dir(photos, tmp_path_factory):
    """Write the work dir of a training on the folder, from before the files were damaged."""
    return make_work_dir(tmp_path_factory.mktemp('work') / 'tiny', photos[0], CLASSES)


@pytest.fixture
def bad(photos):
    root, files = photos
    return {str(root / 'odd' / file.name) for file in files if file.is_listed and file.why}


@pytest.fixture
def good(photos):
    root, files = photos
    odd = {str(root / 'odd' / file.name) for file in files if file.is_listed and not file.why}
    return odd | {str(path) for name in CLASSES[1:] for path in (root / name).iterdir()}


def tool(name):
    return runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))['main']


def listed(folder):
    with Path(folder, 'unreadable_photos.csv').open(newline='', encoding='utf-8') as file:
        return {row['file']: row['problem'] for row in csv.DictReader(file)}


def test_predict(photos, work_dir, good, bad, tmp_path, capsys):
    root, files = photos
    unlisted = {str(root / 'odd' / f.name): f.why for f in files if not f.is_listed}
    arguments = [str(work_dir), str(root), *unlisted, '--device', 'cpu']
    assert tool('predict')([*arguments, '--out', str(tmp_path / 'a.json')]) == 0
    said = json.loads((tmp_path / 'a.json').read_text())
    read = {os.fsdecode(os.fsencode(entry['image'])) for entry in said['images']}
    refused = {entry['image']: entry['reason'] for entry in said['unreadable']}
    assert read == good | {path for path, why in unlisted.items() if not why}
    assert refused.keys() == bad | {path for path, why in unlisted.items() if why}
    assert all(refused.values())
    told = f'{len(read)} images classified, {len(refused)} skipped'
    assert told in capsys.readouterr().err


def test_index_and_query(photos, work_dir, good, bad, tmp_path, capsys):
    root, _ = photos
    gallery, out = tmp_path / 'gallery', tmp_path / 'found'
    retrieve = tool('retrieve')
    index = ['index', str(gallery), str(root), '--work-dir', str(work_dir), '--device', 'cpu']
    assert retrieve(index) == 0
    told = capsys.readouterr().out
    assert f'{len(good)} photos, {len(good)} of them new' in told
    assert f'{len(bad)} skipped (listed in {gallery}/unreadable_photos.csv)' in told
    assert listed(gallery).keys() == bad
    query = ['query', str(gallery), str(root / 'odd'), '--out', str(out), '--top-k', '1']
    assert retrieve(query) == 0
    said = json.loads((out / 'results.json').read_text())
    assert {entry['image'] for entry in said['unreadable']} == bad
    assert len(said['queries']) == len(good) - 24


def test_photos_that_change_while_they_are_indexed(work_dir, tmp_path, monkeypatch, capsys):
    make_photos(tmp_path / 'photos', ['ox'], 4)
    gone, changed = (tmp_path / 'photos/ox' / name for name in ('0.jpg', '1.jpg'))

    def inspect(path, *args, **kwargs):
        report = inspect_image(path, *args, **kwargs)
        if Path(path) == gone:
            gone.unlink()
        if Path(path) == changed:
            changed.write_bytes(changed.read_bytes() + b'more')
        return report

    monkeypatch.setattr(photos_module, 'inspect_image', inspect)
    arguments = ['index', str(tmp_path / 'g'), str(tmp_path / 'photos'), '--device', 'cpu']
    assert tool('retrieve')([*arguments, '--work-dir', str(work_dir)]) == 0
    assert '2 photos, 2 of them new' in capsys.readouterr().out
    assert listed(tmp_path / 'g') == {
        str(gone): f'{gone} cannot be read: No such file or directory',
        str(changed): 'it has changed, or was removed, while it was read',
    }


def test_probe(photos, work_dir, good, bad, capsys):
    probe = tool('probe')
    arguments = [str(work_dir), '--probes', 'knn', '--device', 'cpu']
    with pytest.raises(SystemExit, match=r'(?s)unreadable image.*--skip-unreadable.*odd/cut'):
        probe(arguments)
    probe([*arguments, '--skip-unreadable'])
    told = capsys.readouterr().out
    named = {str(photos[0] / name) for name in re.findall(r'^  (odd/.*?): ', told, re.MULTILINE)}
    assert named == bad
    train, test = re.search(r'(\d+) images to train on, (\d+) to test', told).groups()
    assert int(train) + int(test) == len(good)


def test_train(photos, job, train_tool, good, bad, tmp_path, capfd):
    options = [
        str(job('resized', RESIZED)),
        '--data-root',
        str(photos[0]),
        '--work-dir',
        str(tmp_path / 'run'),
    ]
    options += ['--cfg-options', 'train_cfg.max_epochs=1']
    with pytest.raises(SystemExit, match=rf'(?s){len(bad)} unreadable image\(s\)'):
        train_tool.main(options)
    assert not (tmp_path / 'run').exists()
    train_tool.main([*options, '--skip-unreadable'])
    assert listed(tmp_path / 'run').keys() == bad
    assert (tmp_path / 'run/epoch_1.pth').is_file()
    assert f'listed in {tmp_path}/run/unreadable_photos.csv' in ''.join(capfd.readouterr())


def test_kfold(photos, job, train_tool, bad, tmp_path, monkeypatch):
    def in_this_process(call, **_):
        train_tool.main(call[2:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(folds, 'subprocess', SimpleNamespace(run=in_this_process))
    kfold = tool('kfold')
    options = [
        str(job('resized', RESIZED)),
        '--data-root',
        str(photos[0]),
        '--work-dir',
        str(tmp_path / 'folds'),
    ]
    options += ['--num-splits', '2', '--cfg-options', 'train_cfg.max_epochs=1']
    with pytest.raises(SystemExit, match=rf'(?s){len(bad)} unreadable image\(s\)'):
        kfold(options)
    kfold([*options, '--skip-unreadable'])
    assert listed(tmp_path / 'folds').keys() == bad
    assert len(list((tmp_path / 'folds').glob('fold*/epoch_1.pth'))) == 2


def test_report(photos, work_dir, bad):
    assert tool('report')([str(work_dir), '--device', 'cpu']) == 0
    page = (work_dir / 'report.html').read_text(encoding='utf-8')
    assert 'of the validation images cannot be read and are left out: odd/' in page
    assert 'colour histogram' in page


@HOOKS.register_module()
class DeletePhotoHook(Hook):
    """Remove a photo after the second step, as a user may do during a training."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 1:
            self.path.unlink(missing_ok=True)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_photo_that_is_deleted_during_a_training(job, train_tool, tmp_path, workers):
    make_photos(tmp_path / 'photos', CLASSES, 12)
    gone = tmp_path / 'photos/ox/3.jpg'
    hook = f"{RESIZED}custom_hooks = [dict(type='DeletePhotoHook', path={str(gone)!r})]\n"
    hook += 'default_hooks = dict(checkpoint=dict(interval=100))\n'
    options = [str(job(f'deleting{workers}', hook)), '--data-root', str(tmp_path / 'photos')]
    options += ['--work-dir', str(tmp_path / 'run'), '--no-validate', '--workers', str(workers)]
    options += ['--batch-size', '4', '--cfg-options', 'train_cfg.max_epochs=3']
    with pytest.raises(SystemExit) as error:
        train_tool.main(options)
    told = str(error.value)
    assert told.startswith(f'{gone} cannot be read: No such file or directory\nMend or remove')
    saved = list((tmp_path / 'run').glob('iter_*.pth'))
    assert len(saved) == 1
    assert f'Stopped; {saved[0].name} of' in told
    train_tool.main([*options, '--resume'])
    assert (tmp_path / 'run/epoch_3.pth').is_file()
