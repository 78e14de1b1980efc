"""``--data-root`` and the search for absent data, with retrieval configs."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.data_root import apply_data_root
from vit_plugins.datasets.folder_scan import FolderError
from vit_plugins.datasets.presence import MissingDataError, require_data

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


def test_config_without_training(tmp_path):
    path = CONFIGS / 'retrieval/irt-o-deit-small_sop.py'
    cfg = apply_data_root(Config.fromfile(path), tmp_path)
    assert cfg.test_dataloader.dataset.data_root == str(tmp_path)


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
