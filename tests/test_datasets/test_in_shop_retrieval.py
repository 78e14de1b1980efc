import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError

LIST = b"""\
6
image_name                                                    item_id        evaluation_status
img/WOMEN/Dresses/id_00000002/02_1_front.jpg                  id_00000002    train
img/WOMEN/Dresses/id_00000002/02_2_side.jpg                   id_00000002    train
img/WOMEN/Blouses_Shirts/id_00000001/02_1_front.jpg           id_00000001    query
img/WOMEN/Blouses_Shirts/id_00000001/02_2_side.jpg            id_00000001    gallery
img/MEN/Denim/id_00000080/01_1_front.jpg                      id_00000080    query
img/MEN/Denim/id_00000080/01_4_full.jpg                       id_00000080    gallery
"""


@pytest.fixture(params=['Eval/list_eval_partition.txt', 'list_eval_partition.txt'])
def root(request, tmp_path):
    path = tmp_path / request.param
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(LIST)
    for line in LIST.decode().splitlines()[2:]:
        image = tmp_path / 'Img' / line.split()[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    return tmp_path


def listed(root):
    return next(root.rglob('list_eval_partition.txt'))


def build(root, **kwargs):
    # serialization collects garbage, half a second each
    kwargs = {'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'InShopRetrieval', 'data_root': str(root), **kwargs})


def infos(dataset, *keys):
    rows = (dataset.get_data_info(i) for i in range(len(dataset)))
    return [tuple(row.get(key) for key in keys) for row in rows]


def test_training_part(root):
    train = build(root)
    assert infos(train, 'gt_label', 'role') == [(0, None), (0, None)]
    expected = root / 'Img/img/WOMEN/Dresses/id_00000002/02_1_front.jpg'
    assert train.get_data_info(0)['img_path'] == str(expected)


def test_query_and_gallery_share_labels(root):
    both = [(0, 'query'), (0, 'gallery'), (1, 'query'), (1, 'gallery')]
    assert infos(build(root, split='test'), 'gt_label', 'role') == both
    for role in ('query', 'gallery'):
        part = infos(build(root, split=role), 'gt_label', 'role')
        assert part == [pair for pair in both if pair[1] == role]


def test_numbers_are_those_of_the_paper(root):
    with pytest.raises(AnnotationError, match='2 train images instead of 25,882 and 1 train item'):
        build(root, check_counts=True)
    message = (
        'instead of 14,218 and 2 query items instead of 3,985 and '
        '2 gallery images instead of 12,612 and 2 gallery items instead of 3,985'
    )
    with pytest.raises(AnnotationError, match=message):
        build(root, split='test', check_counts=True)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (b'6\n', b'52712\n', 'line 1: 52,712 images are announced, but 6 rows follow'),
        (b'6\n', b'six\n', "line 1: 'six' is not a number"),
        (b'  gallery\n', b'  val\n', 'line 6: the status must be one of train, query, gallery'),
        (b'   id_00000080    query', b' query', 'line 7: 3 columns are expected'),
        (b'item_id', b'itemid_', 'line 2: the header'),
    ],
)
def test_broken_list(root, old, new, message):
    listed(root).write_bytes(LIST.replace(old, new))
    with pytest.raises(AnnotationError, match=rf'list_eval_partition.txt, {message}'):
        build(root)


def test_missing_list_and_image_are_named(root):
    next(root.rglob('02_2_side.jpg')).unlink()
    with pytest.raises(AnnotationError, match=r'1 of the . images .*02_2_side\.jpg'):
        [build(root), build(root, split='test')]
    listed(root).unlink()
    with pytest.raises(FileNotFoundError, match=r'Eval.*list_eval_partition\.txt'):
        build(root)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="train, test, query, gallery, got 'val'"):
        build(root, split='val')
