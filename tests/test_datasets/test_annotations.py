import pytest

from vit_plugins.datasets._annotations import (
    AnnotationError,
    read_number,
    read_rows,
    require_counts,
    require_images,
    require_split,
)


def test_rows_are_numbered_as_an_editor_does(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_bytes(b'3\r\nname   id\r\na  1\r\nb \t 2\r\n\r\n')
    rows = read_rows(path, ('name', 'id'), header=True, skip=1)
    assert list(rows) == [(3, ['a', '1']), (4, ['b', '2'])]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'name id\na 1\nb\n', r'list.txt, line 3: 2 columns are expected \(name, id\), got 1'),
        (b'name id\na 1 2\n', r"list.txt, line 2: .* got 3 in 'a 1 2'"),
        (b'name id\n\na 1\n', "list.txt, line 2: .* got 0 in ''"),
        (b'id name\na 1\n', "list.txt, line 1: the header 'name id' is expected, got 'id name'"),
        (b'name id\n', 'list.txt lists nothing'),
        (b'', 'list.txt lists nothing'),
        (b'name id\na \xff\n', r"list.txt is no text \('utf-8' codec"),
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
    with pytest.raises(AnnotationError, match=r"list\.txt, line 7: '1O' is no number"):
        read_number('1O', tmp_path / 'list.txt', 7)


def test_counts(tmp_path):
    require_counts(tmp_path, {'images': 2, 'other': 9}, {'images': 2})
    found = {'images': 1999, 'classes': 3}
    with pytest.raises(AnnotationError, match='lists 1,999 images instead of 59,551 and 3 clas'):
        require_counts(tmp_path, found, {'images': 59551, 'classes': 11318})


def test_missing_images_are_counted_and_named(tmp_path):
    (tmp_path / '0.jpg').touch()
    paths = [str(tmp_path / f'{i}.jpg') for i in range(8)]
    require_images(paths[:1], tmp_path / 'list.txt')
    with pytest.raises(AnnotationError, match=r'7 of the 8 images .*list.txt.*1.jpg.* and more'):
        require_images(paths, tmp_path / 'list.txt')


def test_split():
    with pytest.raises(ValueError, match="split must be one of train, test, got 'val'"):
        require_split('val', ('train', 'test'))
