"""No tool validates on photos of the training, also after the folder has changed."""

import runpy
from pathlib import Path

import pytest
from mmpretrain.registry import DATASETS
from small_work_dir import CLASSES, make_photos, make_work_dir

from vit_plugins.command_line.commands import analyze_embeddings, probe, prune
from vit_plugins.datasets.image_folder import ImageFolder
from vit_plugins.datasets.trained_photos import TRAINED_ON, list_photos, write_trained_photos
from vit_plugins.report import findings
from vit_plugins.report.work_dir import read_run

ROOT = Path(__file__).parents[2]


def files(dataset):
    return {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Train; return the work dir, its photos, and the folder with the others replaced."""
    base = tmp_path_factory.mktemp('seen')
    root, classes = base / 'photos', sorted(CLASSES)
    make_photos(root, classes, 10)
    make_work_dir(base / 'w', root, classes)
    dataset = ImageFolder(str(root), part='train')
    write_trained_photos(base / 'w' / TRAINED_ON, list_photos(dataset, root))
    for file in files(ImageFolder(str(root), part='val')):
        Path(file).unlink()
    for name in classes:
        for i in range(10, 20):
            (root / name / f'{i}.jpg').write_bytes(bytes(i + 1))
    assert files(ImageFolder(str(root), part='val')) & files(dataset)  # else nothing is shown
    return base / 'w', root, files(dataset)


@pytest.mark.parametrize(
    ('tool', 'named'),
    [
        *((tool, named) for tool in ('analyze_embeddings', 'probe', 'prune') for named in (0, 1)),
        ('report', 0),  # it reads no other folder
    ],
)
def test_photos_of_the_training_are_not_validated_on(trained, tool, named, monkeypatch, tmp_path):
    work_dir, root, seen = trained
    read = {}

    def stop(cfg, split, **_):
        read['cfg'], read['split'] = cfg, split
        raise ValueError('stopped by this test')

    for module in (analyze_embeddings, probe, prune, findings):
        monkeypatch.setattr(module, 'read_split', stop)
    monkeypatch.setattr(analyze_embeddings, 'load_encoder', lambda *_: None)
    folder = ['--data-root', str(root)] if named else []
    if tool == 'report':
        run = read_run(work_dir)
        assert 'stopped by this test' in findings.find_out(run, 'cpu').problems[0]
        assert 'trained_on' not in run.cfg.val_dataloader.dataset  # the page shows this config
    else:
        where = [str(work_dir)]
        if tool == 'analyze_embeddings':
            where = [f'a={work_dir}', '--split', 'test', '--out', str(tmp_path)]
        main = runpy.run_path(str(ROOT / f'tools/{tool}.py'))['main']
        with pytest.raises(SystemExit, match='stopped by this test'):
            main([*where, *folder, '--device', 'cpu'])
    part = 'val' if tool == 'report' else 'test'
    held_out = files(DATASETS.build(read['cfg'][f'{part}_dataloader'].dataset))
    assert held_out
    assert not held_out & seen
