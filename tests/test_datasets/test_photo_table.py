import pytest

from vit_plugins.datasets.folder_scan import FolderError
from vit_plugins.datasets.photo_table import find_groups, scan_table


@pytest.fixture
def table(tmp_path):
    for name in ('a', 'b', 'c'):
        (tmp_path / f'{name}.jpg').touch()

    def write(text):
        (tmp_path / 't.csv').write_text(text)
        return tmp_path / 't.csv'

    return write


def test_classes_stand_in_the_table(table, tmp_path):
    scan = scan_table(tmp_path, table('file,class\nb.jpg,dog\na.jpg,cat\n./a.jpg,cat\n'))
    assert scan.classes == ('cat', 'dog')
    assert scan.samples == (('a.jpg', 0), ('b.jpg', 1))
    assert scan.skipped == {'photo(s) without a line in t.csv': 1}
    whole = scan_table(tmp_path, table(f'file,class\na.jpg,x\nb.jpg,y\n{tmp_path}/c.jpg,x\n'))
    assert not whole.skipped


def test_a_split_that_the_table_names_is_not_passed_over_in_silence(table, tmp_path, capsys):
    scan_table(tmp_path, table('file,class,Split\na.jpg,cat,train\nb.jpg,dog,val\n'))
    assert 't.csv: the column Split is not used, photos are held out by' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('name,kind\na.jpg,cat\n', r'has the columns name, kind: its first line must name file'),
        ('', r'has the columns \(none\)'),
        ('file,class\na.jpg,\n', r'line 2: .* lacks file or class'),
        ('file,class\na.jpg,cat\na.jpg,dog\n', r'several labels, as a.jpg \(cat and dog\)'),
        ('file,class\na.jpg,cat|dog\nb.jpg,cat\n', r'1 photo\(s\) .* several labels'),
        ('file,class\nx.jpg,cat\na.jpg,dog\n', r'1 file\(s\) .* are not in .*, as x.jpg'),
        ('file,class\na.jpg,cat\n', r"one class only, 'cat'"),
        ('file,class\n../x.jpg,cat\na.jpg,dog\n', r"lists '../x.jpg', which leads out of .*root"),
        ('file,class\n/etc/hosts,cat\na.jpg,dog\n', r"lists '/etc/hosts', which leads out of"),
    ],
)
def test_tables_that_cannot_be_used(table, tmp_path, text, told):
    with pytest.raises(FolderError, match=told):
        scan_table(tmp_path, table(text))
    with pytest.raises(FolderError, match=r'cannot be read as a table'):
        scan_table(tmp_path, tmp_path / 'absent.csv')


def test_groups_by_expression_and_table(table):
    names = ['cat/x1_1.jpg', 'cat/x1_2.jpg', 'dog/x2_1.jpg']
    assert find_groups(names, r'x\d+') == ['x1', 'x1', 'x2']
    assert find_groups(names, r'x(\d+)_') == ['1', '1', '2']
    own = table('file,group\n' + ''.join(f'{n},{g}\n' for n, g in zip(names, 'aab', strict=True)))
    assert find_groups(names, str(own)) == ['a', 'a', 'b']


@pytest.mark.parametrize(
    ('group_by', 'told'),
    [
        ('(', r'neither a .csv file nor a regular expression'),
        ('x1', r'gives 1 of 2 photos no group, as dog/x2'),
        ('x', r"puts all photos into one group, 'x'"),
    ],
)
def test_groups_that_split_nothing(group_by, told):
    with pytest.raises(FolderError, match=told):
        find_groups(['cat/x1', 'dog/x2'], group_by)
