from functools import partial
from pathlib import Path

import pytest

from vit_plugins.datasets._annotations import (
    AnnotationError,
    place_images,
    read_number,
    read_rows,
    require_counts,
    require_split,
)
from vit_plugins.datasets.stanford_online_products import StanfordOnlineProducts


def test_rows_are_numbered_as_an_editor_does(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_bytes(b'\xef\xbb\xbf3\r\nname   id\r\na  1\r\n\r\nb \t 2\r\n \r\n')
    rows = read_rows(path, ('name', 'id'), header=True, skip=1)
    assert list(rows) == [(3, ['a', '1']), (5, ['b', '2'])]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'name id\na 1\nb\n', r'list.txt, line 3: 2 columns are expected \(name, id\), got 1'),
        (b'name id\na 1 2\n', r"list.txt, line 2: .* got 3 in 'a 1 2'"),
        (b'id name\na 1\n', "list.txt, line 1: the header 'name id' is expected, got 'id name'"),
        (b'name id\n', 'list.txt lists no images'),
        (b'', 'list.txt lists no images'),
        (b'name id\na \xff\n', r"list.txt is not a text file \('utf-8' codec"),
    ],
)
def test_broken_table(tmp_path, content, message):
    path = tmp_path / 'list.txt'
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        list(read_rows(path, ('name', 'id'), header=True))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.txt'):
        list(read_rows(tmp_path / 'none.txt', ('name',)))


def test_no_number(tmp_path):
    with pytest.raises(AnnotationError, match=r"list\.txt, line 7: '1O' is not a number"):
        read_number('1O', tmp_path / 'list.txt', 7)


def test_counts(tmp_path):
    require_counts(tmp_path, {'images': 2, 'other': 9}, {'images': 2})
    found = {'images': 1999, 'classes': 3}
    with pytest.raises(AnnotationError, match='lists 1,999 images instead of 59,551 and 3 clas'):
        require_counts(tmp_path, found, {'images': 59551, 'classes': 11318})


def test_missing_images_are_counted_and_named(tmp_path):
    (tmp_path / '0.jpg').touch()
    (tmp_path / '1.jpg').mkdir()
    names = [f'{i}.jpg' for i in range(8)]
    (found,) = place_images(tmp_path, names[:1], tmp_path / 'list.txt', tmp_path)
    assert found == str(tmp_path / '0.jpg')
    with pytest.raises(AnnotationError, match=r'7 of the 8 images .*list.txt.*1.jpg.* and more'):
        place_images(tmp_path, names, tmp_path / 'list.txt', tmp_path)
    with pytest.raises(AnnotationError, match='1 of the 1 images'):
        place_images(tmp_path, ['a\0b'], tmp_path / 'list.txt', tmp_path)


@pytest.fixture
def root(tmp_path):
    """Write a data root with links to files outside, to files inside, and to nothing."""
    root, other = tmp_path / 'real', tmp_path / 'other'
    for folder in (root / 'images', other):
        folder.mkdir(parents=True)
        (folder / 'a.jpg').touch()
    (root / 'images' / 'link.jpg').symlink_to(other / 'a.jpg')
    (root / 'images' / 'within.jpg').symlink_to(root / 'images' / 'a.jpg')
    (root / 'elsewhere').symlink_to(other)
    (root / 'loop').symlink_to(root / 'loop')
    (tmp_path / 'data').symlink_to(root)  # the root itself may be a link
    return tmp_path / 'data'


@pytest.mark.parametrize(
    'name', ['../other/a.jpg', '{other}/a.jpg', 'images/link.jpg', 'elsewhere/a.jpg']
)
def test_no_image_leads_out_of_the_data_root(root, name):
    name = name.format(other=root.parent / 'other')
    with pytest.raises(AnnotationError, match=r'list.txt lists .* leads out of .*allow_outside='):
        place_images(root, [name], root / 'list.txt', root)
    (found,) = place_images(root, [name], root / 'list.txt', None)
    assert Path(found).samefile(root.parent / 'other' / 'a.jpg')


def test_ways_within_the_data_root(root):
    names = ['images/a.jpg', 'images/within.jpg', 'images/../images/a.jpg']
    assert len(place_images(root, names, root / 'list.txt', root)) == 3
    with pytest.raises(AnnotationError, match='1 of the 1 images'):
        place_images(root, ['loop/a.jpg'], root / 'list.txt', root)


def test_a_dataset_allows_places_outside_when_asked_to(root):
    (root / 'Ebay_test.txt').write_text(
        'image_id class_id super_class_id path\n1 1 1 elsewhere/a.jpg\n2 1 1 images/a.jpg\n'
    )
    build = partial(StanfordOnlineProducts, str(root), 'test', check_counts=False)
    with pytest.raises(AnnotationError, match=r"Ebay_test\.txt lists 'elsewhere/a\.jpg'"):
        build()
    assert len(build(allow_outside=True)) == 2


def test_split():
    with pytest.raises(ValueError, match="split must be one of train, test, got 'val'"):
        require_split('val', ('train', 'test'))
