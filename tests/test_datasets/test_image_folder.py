import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.folder_scan import FolderError


def build(root, **kwargs):
    return DATASETS.build(
        {'type': 'ImageFolder', 'data_root': str(root), 'serialize_data': False, **kwargs}
    )


def test_parts_share_the_folder(photos):
    root = photos(blue=10, red=5)
    parts = {part: build(root, part=part) for part in ('all', 'train', 'val')}
    paths = {
        k: {d['img_path'] for d in map(v.get_data_info, range(len(v)))} for k, v in parts.items()
    }
    assert [len(paths[p]) for p in ('all', 'train', 'val')] == [15, 12, 3]
    assert paths['train'] | paths['val'] == paths['all']
    assert not paths['train'] & paths['val']
    assert parts['val'].get_gt_labels().tolist() == [0, 0, 1]
    assert parts['all'].CLASSES == ('blue', 'red')
    assert 'Part: \tval (val_fraction 0.2, seed 0)' in repr(parts['val'])


def test_settings_change_the_split(photos):
    root = photos(blue=10, red=10)

    def held(**kwargs):
        dataset = build(root, part='val', **kwargs)
        return [dataset.get_data_info(i)['img_path'] for i in range(2)]

    assert held() != held(seed=1)
    assert len(build(root, part='val', val_fraction=0.5)) == 10


def test_label_is_the_place_among_given_classes(photos):
    dataset = build(photos(blue=1, red=1), metainfo={'classes': ('red', 'blue')})
    assert dataset.get_gt_labels().tolist() == [1, 0]


def test_other_classes_are_refused(photos):
    with pytest.raises(FolderError, match="lacks 'green' and has, unknown in training, 'red'"):
        build(photos(blue=1, red=1), metainfo={'classes': ('blue', 'green')})


def test_folds_share_the_folder_and_tell_what_is_in_one_of_them_only(photos, capsys):
    root = photos(blue=10, red=10)
    held = []
    for number in range(2):
        setting = dict(group_by=r'red|\d', fold=(number, 2))  # the red ones are one group
        train, val = (build(root, part=part, **setting) for part in ('train', 'val'))
        assert len(train) + len(val) == 20
        held += [val.get_data_info(i)['img_path'] for i in range(len(val))]
    assert len(set(held)) == 20
    told = capsys.readouterr().out
    assert told.count('all images of red are held out, none is trained on') == 1
    with pytest.raises(
        ValueError, match=r'fold must be \(number from 0, how many\).* got \(5, 5\)'
    ):
        build(root, fold=(5, 5))
    with pytest.raises(ValueError, match=r"fold=\(0, 5\) has no effect with part='all'"):
        build(root, fold=(0, 5))


def test_unknown_part(photos):
    with pytest.raises(ValueError, match="'all', 'train' or 'val', got 'test'"):
        build(photos(blue=1, red=1), part='test')


def test_what_is_left_out_is_logged_once(photos, capsys):
    root = photos(blue=3, red=3)
    (root / 'blue/1.heic').touch()
    for part in ('train', 'val', 'train'):
        build(root, part=part)
    assert capsys.readouterr().out.count(f'skipped in {root}: 1 .heic') == 1


def test_the_hosts_loader_is_replaced_and_classes_may_be_absent_in_tests(photos):
    root = photos(blue=3, red=3)
    settings = {'metainfo': {'classes': ('blue', 'owl', 'red')}}
    settings['pipeline'] = [{'type': 'LoadImageFromFile'}]
    dataset = build(root, test_mode=True, **settings)
    assert sorted(dataset.get_gt_labels().tolist()) == [0, 0, 0, 2, 2, 2]
    assert type(dataset.pipeline.transforms[0]).__name__ == 'LoadPhoto'
    with pytest.raises(FolderError, match="lacks 'owl'"):
        build(root, **settings)


def test_one_image_a_class_leaves_none_to_validate_on(photos):
    root = photos(blue=1, red=1)
    assert len(build(root, part='train')) == 2
    told = r'left to validate on: each of its 2 classes has one image.* DIR/val .* --no-validate'
    with pytest.raises(FolderError, match=told):
        build(root, part='val')
