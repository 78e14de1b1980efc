"""``--data-root`` and the check for missing data, with retrieval configs."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from PIL import Image

from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.left_out import write_left_out
from vit_plugins.config_edits.presence import MissingDataError, require_data
from vit_plugins.config_edits.walking import all_leaf_datasets
from vit_plugins.datasets.folder_scan import FolderError

CONFIGS = Path(__file__).parents[2] / 'configs'
FOLDER = CONFIGS / 'retrieval/irt-r-deit-small_1xb64-2k_folder.py'
SOP = CONFIGS / 'retrieval/irt-r-deit-small_1xb64-35k_sop.py'
SFM = CONFIGS / 'retrieval/irt-r-deit-small_1xb35-100e_sfm120k.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.mark.parametrize('path', [SOP, SFM], ids=lambda path: path.stem)
def test_only_the_place_changes(tmp_path, path):
    before = Config.fromfile(path)
    cfg = apply_data_root(Config.fromfile(path), tmp_path)
    for loader in LOADERS:
        assert cfg[loader].dataset == {**before[loader].dataset, 'data_root': str(tmp_path)}
    assert cfg.model == before.model


def test_what_lacks_is_told_with_its_source(tmp_path):
    cfg = apply_data_root(Config.fromfile(SOP), tmp_path)
    with pytest.raises(MissingDataError) as error:
        require_data(cfg, ['train', 'val'])
    text = str(error.value)
    assert f'StanfordOnlineProducts lacks {tmp_path}/Ebay_train.txt' in text
    assert f'StanfordOnlineProducts lacks {tmp_path}/Ebay_test.txt' in text
    assert 'cvgl.stanford.edu' in text
    assert text.endswith('If the data lie elsewhere: --data-root DIR')
    (tmp_path / 'Ebay_test.txt').touch()
    require_data(cfg, ['test'])  # the training part is not asked for


def test_absent_folder_is_told_once(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError, match=r'SfM120k lacks \S+data/cirtorch\n  get it: SfM'):
        require_data(Config.fromfile(SFM), ['train'])
    cfg = apply_data_root(Config.fromfile(SFM), tmp_path)
    cfg.test_dataloader.dataset.name = 'rparis6k'
    with pytest.raises(MissingDataError, match=r'Revisited\S+ lacks \S+test/rparis6k/gnd_rparis6'):
        require_data(cfg, ['test'])


def test_data_that_is_read_from_no_folder(tmp_path):
    cfg = Config.fromfile(CONFIGS / 'retrieval_digits.py')
    with pytest.raises(ValueError, match=r'--data rotated-digits comes with scikit-learn and is'):
        apply_data_root(cfg, tmp_path, data='rotated-digits')


def test_config_without_training(tmp_path):
    path = CONFIGS / 'retrieval/irt-o-deit-small_sop.py'
    cfg = apply_data_root(Config.fromfile(path), tmp_path)
    assert cfg.test_dataloader.dataset.data_root == str(tmp_path)


def test_unreadable_images_are_left_out_where_asked(photos):
    root = photos(blue=3, green=3, red=3, _a=3)
    (root / 'blue/00.png').write_text('text')
    with pytest.raises(FolderError, match=r'(?s)leave them out with --skip-unreadable.*blue/00'):
        apply_data_root(Config.fromfile(FOLDER), root)
    with pytest.raises(FolderError, match='opens all images: leave --no-verify out'):
        apply_data_root(Config.fromfile(FOLDER), root, verify=False, skip_unreadable=True)
    cfg = apply_data_root(Config.fromfile(FOLDER), root, skip_unreadable=True)
    assert all(leaf.left_out == ['blue/00.png'] for leaf in all_leaf_datasets(cfg))
    table = write_left_out(cfg, root)
    reason = 'not an image, or of an unknown type'
    assert table.read_text().splitlines()[1:] == [f'{root}/blue/00.png,"{reason}"']
    (root / 'blue/00.png').unlink()
    (root / 'blue/01.png').write_text('text')
    (root / 'blue/02.png').write_text('text')
    with pytest.raises(FolderError, match="is left of 'blue'"):
        apply_data_root(Config.fromfile(FOLDER), root, skip_unreadable=True)
    with pytest.raises(ValueError, match=r'--skip-unreadable would have no effect: .* published'):
        apply_data_root(Config.fromfile(SOP), root, skip_unreadable=True)


@pytest.mark.parametrize('path', [FOLDER, CONFIGS / 'retrieval_digits.py'])
def test_class_folders_of_a_person(photos, path):
    root = photos(blue=3, green=3, red=3, _a=3, _b=3, _c=3)
    cfg = apply_data_root(Config.fromfile(path), root)
    sets = [DATASETS.build({**cfg[loader].dataset, 'serialize_data': False}) for loader in LOADERS]
    assert {type(dataset).__name__ for dataset in sets} == {'RetrievalFolder'}
    train, _, test = sets
    assert not set(train.CLASSES) & set(test.CLASSES)
    assert train[0]['inputs'].shape == test[0]['inputs'].shape
    assert cfg.data_preprocessor.to_rgb


def test_unreadable_image_and_missing_folder(photos):
    root = photos(blue=3, green=3, red=3, grey=3)
    (root / 'red/01.png').write_text('text')
    with pytest.raises(FolderError, match=r'red/01\.png: not an image'):
        apply_data_root(Config.fromfile(FOLDER), root)
    apply_data_root(Config.fromfile(FOLDER), root, verify=False)
    with pytest.raises(FolderError, match='is not a folder'):
        apply_data_root(Config.fromfile(FOLDER), root / 'none')


def test_what_is_left_out_or_shown_otherwise_is_said(photos, capsys):
    photos('train', a=3, b=3, c=3, d=3)
    root = photos('test', a=1)
    (root / 'test/a/00.png').rename(root / 'test/flat.png')
    (root / 'test/a').rmdir()
    (root / 'train/@eaDir').mkdir()
    (root / 'train/a/1.heic').touch()
    Image.new('RGBA', (9, 9), (9, 9, 9, 99)).save(root / 'train/b/01.png')
    cfg = apply_data_root(Config.fromfile(FOLDER), root)
    told = capsys.readouterr().out
    assert f'skipped in {root}/train: 1 .heic, 1 @eaDir/' in told
    assert f'{root}/test holds no class folders, so its images have no labels' in told
    assert f'{root}: 1 image(s) with transparent parts: shown on white (train/b/01.png)' in told
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == 6  # two of the four classes of train
    assert cfg.test_dataloader.dataset.pipeline[0].type == 'LoadPhoto'


def test_each_class_folder_is_listed_once(photos, listed_folders):
    root = photos(**{name: 3 for name in ('a', 'b', 'c', 'd', 'e')})
    for folder, _, _ in os.walk(root):
        os.utime(folder, (1e9, 1e9))  # as folders that nobody is filling
    listed_folders.clear()
    cfg = apply_data_root(Config.fromfile(FOLDER), root)
    for loader in LOADERS:
        assert len(DATASETS.build({**cfg[loader].dataset, 'pipeline': []})) > 0
    assert [listed_folders[str(root / name)] for name in 'abcde'] == [1] * 5
