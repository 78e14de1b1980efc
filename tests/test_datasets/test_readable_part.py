"""The photos of a folder are checked before a model runs on them."""

import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.folder_scan import FolderError
from vit_plugins.datasets.image_check import cache_file, check_images
from vit_plugins.datasets.readable_part import readable_part
from vit_plugins.fileio.unreadable_list import write_unreadable

PIPELINE = [dict(type='LoadPhoto'), dict(type='PackInputs')]


@pytest.fixture
def dataset(photos):
    folder = dict(type='ImageFolder', data_root=str(photos(blue=3, red=3)), pipeline=PIPELINE)
    return DATASETS.build(dict(type='ClassSubset', dataset=folder, num_per_class=2))


def test_good_photos_stay_as_they_are(dataset):
    assert readable_part(dataset, skip=False) is dataset
    others = [dict(img_path='/gone.jpg')]
    assert readable_part(others, skip=False) is others


def test_bad_photos_are_named_or_left_out(dataset, photos, capsys):
    bad = dataset.get_data_info(1)['img_path']
    with open(bad, 'w') as file:
        file.write('text')
    with pytest.raises(FolderError, match=r'(?s)1 unreadable.*blue/0\d\.png: not an image'):
        readable_part(dataset, skip=False)
    part = readable_part(dataset, skip=True)
    assert part.left_out == (bad[-11:],)
    assert (len(part), part.get_gt_labels().tolist()) == (3, [0, 1, 1])
    assert bad not in [part.get_data_info(i)['img_path'] for i in range(3)]
    assert part[2]['data_samples'].gt_label.item() == 1
    assert part.metainfo['classes'] == ('blue', 'red')
    for i in range(4):
        with open(dataset.get_data_info(i)['img_path'], 'w') as file:
            file.write('text')
    with pytest.raises(FolderError, match='none of the 4 photos of'):
        readable_part(dataset, skip=True)


def test_parts_of_a_folder_share_what_is_remembered(photos):
    root = photos(blue=3)
    check_images(root, ['blue/00.png'])
    check_images(root, ['blue/01.png'])
    assert all(name in cache_file(root).read_text() for name in ('00.png', '01.png'))


def test_the_list_of_skipped_photos(tmp_path):
    assert write_unreadable([('=x.jpg', 'empty'), ('caf\udce9.jpg', 'cut')], tmp_path).is_file()
    table = (tmp_path / 'unreadable_photos.csv').read_text(encoding='utf-8')
    assert table.splitlines() == ['file,problem', './=x.jpg,empty', 'caf\\udce9.jpg,cut']
    (tmp_path / 'of the user').write_text('kept')
    (tmp_path / 'unreadable_photos.csv').unlink()
    (tmp_path / 'unreadable_photos.csv').symlink_to(tmp_path / 'of the user')
    write_unreadable([('x.jpg', 'empty')], tmp_path)  # a stranger's gallery may hold links
    assert (tmp_path / 'of the user').read_text() == 'kept'
    assert write_unreadable([], tmp_path) is None
    assert not (tmp_path / 'unreadable_photos.csv').exists()
