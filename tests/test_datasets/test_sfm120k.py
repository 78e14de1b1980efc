import logging

import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets import sfm120k
from vit_plugins.datasets._annotations import AnnotationError
from vit_plugins.datasets.sfm120k import PUBLISHED_MODELS

# {'train': {'cids': 3 names, 'cluster': [7, 7, 3], 'qidxs': [0], 'pidxs': [1]},
#  'val': {'cids': 1 name, 'cluster': [5], 'qidxs': [], 'pidxs': []}} of protocol 2
CONTENT = (
    b'\x80\x02}(X\x05\x00\x00\x00train}(X\x04\x00\x00\x00cidsq\x00](X\x0c\x00\x00\x00a1b2c3d4e5f6'
    b'X\x0c\x00\x00\x000123456789abX\x0c\x00\x00\x00ffeeddccbbaaeX\x07\x00\x00\x00clusterq\x01](K'
    b'\x07K\x07K\x03eX\x05\x00\x00\x00qidxsq\x02]K\x00aX\x05\x00\x00\x00pidxsq\x03]K\x01auX\x03'
    b'\x00\x00\x00val}(h\x00]X\x0e\x00\x00\x0099887766554433ah\x01]K\x05ah\x02]h\x03]uu.'
)
# {'cids': 2 names, 'qidxs': [1], 'pidxs': [0]}
WHITEN = (
    b'\x80\x02}(X\x04\x00\x00\x00cids](X\x0c\x00\x00\x00a1b2c3d4e5f6X\x0c\x00\x00\x000123456789ab'
    b'eX\x05\x00\x00\x00qidxs]K\x01aX\x05\x00\x00\x00pidxs]K\x00au.'
)
UNSERIALIZED = {'serialize_data': False}  # it collects garbage, half a second each
FOLDER = 'train/retrieval-SfM-120k'
IMAGES = ['f6/e5/d4/a1b2c3d4e5f6', 'ab/89/67/0123456789ab', 'aa/bb/cc/ffeeddccbbaa']
OF_VAL = '33/44/55/99887766554433'


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(sfm120k, 'PUBLISHED_MODELS', {'train': 2, 'val': 1})
    folder = tmp_path / FOLDER
    for name in (*IMAGES, OF_VAL):
        (folder / 'ims' / name).parent.mkdir(parents=True)
        (folder / 'ims' / name).touch()
    (folder / 'retrieval-SfM-120k.pkl').write_bytes(CONTENT)
    (folder / 'retrieval-SfM-120k-whiten.pkl').write_bytes(WHITEN)
    return tmp_path


def build(root, **kwargs):
    return DATASETS.build({'type': 'SfM120k', 'data_root': str(root), **UNSERIALIZED, **kwargs})


def test_images_models_and_pairs(root):
    train = build(root)
    paths = [train.get_data_info(i)['img_path'] for i in range(3)]
    assert paths == [str(root / FOLDER / 'ims' / name) for name in IMAGES]
    assert train.get_gt_labels().tolist() == [1, 1, 0]
    assert train.pairs.tolist() == [[0, 1]]
    assert 'Pairs: \t1' in repr(train)
    val = build(root, split='val')
    assert (len(val), val.pairs.shape, val.test_mode) == (1, (0, 2), True)


def test_whitening_pairs_have_no_models(root):
    whiten = build(root, split='whiten')
    assert whiten.pairs.tolist() == [[1, 0]]
    assert whiten.metainfo['whitening_pairs'] == [[1, 0]]
    assert whiten.get_gt_labels().tolist() == [-1, -1]


def test_number_of_models_is_compared_with_the_paper(root, monkeypatch, caplog):
    monkeypatch.setattr(sfm120k, 'PUBLISHED_MODELS', PUBLISHED_MODELS)
    logged = []
    monkeypatch.setattr(sfm120k, 'print_log', lambda text, **kwargs: logged.append((text, kwargs)))
    build(root)
    build(root, split='val')
    assert "2 3D models in 'train', the paper tells of 551" in logged[0][0]
    assert "1 3D models in 'val', the paper tells of 162" in logged[1][0]
    assert logged[0][1]['level'] == logging.WARNING


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (b'qidxsq\x02]K\x00a', b'qidxsq\x02](K\x00K\x02e', "2 'qidxs' do not pair with 1 'pidxs'"),
        (
            b'pidxsq\x03]K\x01a',
            b'pidxsq\x03]K\x03a',
            r'pair 0 is \(0, 3\), but there are only 3',
        ),
        (b'K\x07K\x07K\x03e', b'K\x07K\x03e', "'train' has 3 'cids' but 2 'cluster'"),
        (
            b'K\x07K\x07K\x03e',
            b'K\x07NK\x03e',
            r'is damaged \(TypeError: int\(\) .* not .NoneType',
        ),
        (b'qidxsq\x02]K\x00a', b'qidxsq\x02]]a', 'do not pair with|is damaged'),
        (b'X\x07\x00\x00\x00cluster', b'X\x07\x00\x00\x00kluster', 'lacks cluster of'),
        (b'\x05\x00\x00\x00train', b'\x05\x00\x00\x00brain', 'lacks cids, qidxs, pidxs, cluster'),
        (
            b'\x0c\x00\x00\x00ffeeddccbbaa',
            b'\x03\x00\x00\x00ffe',
            "'ffe' is not the name of an image",
        ),
    ],
)
def test_broken_annotation(root, old, new, message):
    assert CONTENT.count(old) == 1
    (root / FOLDER / 'retrieval-SfM-120k.pkl').write_bytes(CONTENT.replace(old, new))
    with pytest.raises(AnnotationError, match=rf'retrieval-SfM-120k.pkl.*{message}'):
        build(root)


def test_missing_things_are_named(root):
    (root / FOLDER / 'ims' / IMAGES[1]).unlink()
    with pytest.raises(AnnotationError, match=r'1 of the 3 images .*0123456789ab'):
        build(root)
    (root / FOLDER / 'retrieval-SfM-120k.pkl').unlink()
    with pytest.raises(FileNotFoundError, match=r'retrieval-SfM-120k\.pkl'):
        build(root)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="train, val, whiten, got 'test'"):
        build(root, split='test')
