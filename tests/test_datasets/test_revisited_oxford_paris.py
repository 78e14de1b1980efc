import pickle

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from PIL import Image

from vit_plugins.datasets._annotations import AnnotationError

# {'imlist': 3 names, 'qimlist': 1 name, 'gnd': [{'bbx': [1.5, 2.0, 6.4, 7.0], 'easy': [1],
#  'hard': [], 'junk': [0, 2]}]} of protocol 2
PLAIN = (
    b'\x80\x02}(X\x06\x00\x00\x00imlist](X\x10\x00\x00\x00all_souls_000013X\r\x00\x00\x00'
    b'oxford_000397X\x0f\x00\x00\x00bodleian_000132eX\x07\x00\x00\x00qimlist]X\x10\x00\x00\x00'
    b'all_souls_000026aX\x03\x00\x00\x00gnd]}(X\x03\x00\x00\x00bbx](G?\xf8\x00\x00\x00\x00\x00\x00'
    b'G@\x00\x00\x00\x00\x00\x00\x00G@\x19\x99\x99\x99\x99\x99\x9aG@\x1c\x00\x00\x00\x00\x00\x00eX'
    b'\x04\x00\x00\x00easy]K\x01aX\x04\x00\x00\x00hard]X\x04\x00\x00\x00junk](K\x00K\x02euau.'
)
# the same names and numbers (bbx [1, 2, 6, 7]) as arrays of numpy 1: an empty one, a scalar
ARRAYS = (
    b'\x80\x02}(X\x06\x00\x00\x00imlist](X\x10\x00\x00\x00all_souls_000013X\r\x00\x00\x00'
    b'oxford_000397X\x0f\x00\x00\x00bodleian_000132eX\x07\x00\x00\x00qimlist]X\x10\x00\x00\x00'
    b'all_souls_000026aX\x03\x00\x00\x00gnd]}(X\x03\x00\x00\x00bbxcnumpy.core.multiarray\n'
    b'_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85c_codecs\nencode\nq\x03X\x01\x00\x00\x00b'
    b'X\x06\x00\x00\x00latin1q\x04\x86Rq\x05\x87R(K\x01K\x04\x85cnumpy\ndtype\nq\x06X\x02\x00\x00'
    b'\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<q\x07NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
    b'\x89h\x03X!\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc3\xb0?\x00\x00\x00\x00\x00\x00\x00@\x00'
    b'\x00\x00\x00\x00\x00\x18@\x00\x00\x00\x00\x00\x00\x1c@h\x04\x86RtbX\x04\x00\x00\x00easyh\x01'
    b'h\x02K\x00\x85h\x05\x87R(K\x01K\x01\x85h\x06X\x02\x00\x00\x00i8\x89\x88\x87Rq\x08(K\x03h\x07'
    b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89h\x03X\x08\x00\x00\x00\x01\x00\x00\x00\x00'
    b'\x00\x00\x00h\x04\x86RtbX\x04\x00\x00\x00hardh\x01h\x02K\x00\x85h\x05\x87R(K\x01K\x00\x85h'
    b'\x08\x89c__builtin__\nbytes\n)RtbX\x04\x00\x00\x00junk](cnumpy.core.multiarray\nscalar\nh'
    b'\x08h\x03X\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00h\x04\x86R\x86RK\x02euau.'
)
NAMES = ['all_souls_000013', 'oxford_000397', 'bodleian_000132', 'all_souls_000026']


@pytest.fixture(params=[PLAIN, ARRAYS], ids=['plain', 'arrays'])
def root(request, tmp_path):
    folder = tmp_path / 'test/roxford5k'
    (folder / 'jpg').mkdir(parents=True)
    (folder / 'gnd_roxford5k.pkl').write_bytes(request.param)
    for name in NAMES:
        (folder / 'jpg' / f'{name}.jpg').touch()
    return tmp_path


def build(root, **kwargs):
    # serialization collects garbage, half a second each
    kwargs = {'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'RevisitedOxfordParis', 'data_root': str(root), **kwargs})


def infos(dataset, *keys):
    rows = (dataset.get_data_info(i) for i in range(len(dataset)))
    return [tuple(row.get(key) for key in keys) for row in rows]


def test_roles_places_and_ground_truth(root):
    dataset = build(root)
    assert infos(dataset, 'role', 'image_idx') == [
        ('query', 0),
        ('gallery', 0),
        ('gallery', 1),
        ('gallery', 2),
    ]
    jpg = root / 'test/roxford5k/jpg'
    paths = [path for (path,) in infos(dataset, 'img_path')]
    assert paths == [str(jpg / f'{NAMES[i]}.jpg') for i in (3, 0, 1, 2)]
    assert dataset.metainfo['revisited_gnd'] == [{'easy': [1], 'hard': [], 'junk': [0, 2]}]
    assert infos(dataset, 'crop_box')[0][0][1] == 2.0
    assert infos(dataset, 'crop_box')[1:] == [(None,)] * 3
    assert 'Set: \troxford5k' in repr(dataset)


def test_query_is_cropped_before_the_resize_and_the_gallery_is_not(root):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 12, 3), np.uint8)
    for name in NAMES:  # lossless, whatever the suffix says
        path = root / f'test/roxford5k/jpg/{name}.jpg'
        Image.fromarray(pixels).save(path, 'png')
    load = [{'type': 'LoadImageFromFile'}, {'type': 'CropToBox'}]
    pack = {'type': 'PackInputs', 'meta_keys': ('sample_idx', 'role', 'image_idx', 'img_shape')}
    dataset = build(root, pipeline=[*load, pack])
    box = dataset.get_data_info(0)['crop_box']
    query = dataset[0]['inputs'].permute(1, 2, 0).numpy()[..., ::-1]  # BGR to RGB
    assert np.array_equal(query, np.asarray(Image.fromarray(pixels).crop(box)))
    assert dataset[0]['data_samples'].get('role') == 'query'
    assert dataset[0]['data_samples'].get('img_shape') == query.shape[:2]
    assert dataset[1]['inputs'].shape == (3, 9, 12)
    assert dataset[1]['data_samples'].get('sample_idx') == 1


def test_distractors_come_after_the_gallery(root):
    folder = root / 'test/revisitop1m'
    (folder / 'jpg/1').mkdir(parents=True)
    (folder / 'revisitop1m.txt').write_bytes(b'1/aa.jpg\n1/bb.jpg\n')
    for name in ('aa', 'bb'):
        (folder / f'jpg/1/{name}.jpg').touch()
    dataset = build(root, distractors=True)
    assert infos(dataset, 'role', 'image_idx', 'img_path')[-1] == (
        'gallery',
        4,
        str(folder / 'jpg/1/bb.jpg'),
    )
    (folder / 'jpg/1/bb.jpg').unlink()
    with pytest.raises(AnnotationError, match=r'1 of the 2 images .*revisitop1m.txt.*bb\.jpg'):
        build(root, distractors=True)


def test_numbers_are_those_of_the_paper(root):
    with pytest.raises(AnnotationError, match='3 images instead of 4,993 and 1 queries inst'):
        build(root, check_counts=True)
    paris = root / 'test/rparis6k'
    (root / 'test/roxford5k').rename(paris)
    (paris / 'gnd_roxford5k.pkl').rename(paris / 'gnd_rparis6k.pkl')
    with pytest.raises(AnnotationError, match='of 6,322 and 1 queries instead of 70'):
        build(root, name='rparis6k', check_counts=True)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (b'easy]K\x01', b'easy]K\x03', r"query 0 \(all_souls_000026\): 'easy' names photo 3, but"),
        (b'X\x04\x00\x00\x00hard', b'X\x04\x00\x00\x00bard', 'query 0 .*: lacks hard'),
        (b'G?\xf8', b'G@\x59', "'bbx' must be x1 < x2, y1 < y2, got \\[10"),
        (b'qimlist', b'_imlist', 'lacks qimlist'),
        (b'gnd]}', b'gnd]]a}', "1 'qimlist' but 2 'gnd'"),
        (b'easy]K\x01a', b'easy]}a', r'is damaged \(.*dict'),
        (b'easy]K\x01a', b'easyN', r'is damaged \(.*None'),
    ],
)
def test_broken_annotation(root, old, new, message):
    changed = PLAIN.replace(old, new)
    if new == b'gnd]]a}':
        changed = PLAIN.replace(b'gnd]}', b'gnd](}').replace(b'euau.', b'eu}eu.')
    assert changed != PLAIN
    (root / 'test/roxford5k/gnd_roxford5k.pkl').write_bytes(changed)
    with pytest.raises(AnnotationError, match=rf'gnd_roxford5k.pkl.*{message}'):
        build(root)


def test_pickle_that_runs_code_is_refused(root):
    (root / 'test/roxford5k/gnd_roxford5k.pkl').write_bytes(b'cos\nsystem\n(S"true"\ntR.')
    with pytest.raises(pickle.UnpicklingError, match=r'gnd_roxford5k.pkl names os.system'):
        build(root)


def test_missing_things_are_named(root):
    (root / 'test/roxford5k/jpg/all_souls_000026.jpg').unlink()
    with pytest.raises(AnnotationError, match=r'1 of the 4 images .*all_souls_000026\.jpg'):
        build(root)
    with pytest.raises(FileNotFoundError, match=r'gnd_rparis6k\.pkl'):
        build(root, name='rparis6k')


def test_unknown_name(root):
    with pytest.raises(ValueError, match="roxford5k, rparis6k, got 'oxford5k'"):
        build(root, name='oxford5k')
