"""Pictures of an augmentation: correct image, colours and text."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from PIL import Image

from vit_plugins.visualization.augmentation import (
    COLOURS,
    AugmentationSheet,
    break_line,
    find_photo,
    plot_boxes,
    to_picture,
)
from vit_plugins.visualization.crops import Crop
from vit_plugins.visualization.sheets import picture_sheet

LOAD, PACK = {'type': 'LoadImageFromFile'}, {'type': 'PackInputs'}
SIZE = 48


def config(*transforms, to_rgb=True, dataset='CustomDataset'):
    pipeline = [LOAD, *transforms, PACK] if to_rgb else [*transforms, PACK]
    return Config(
        {
            'model': {'backbone': {'img_size': SIZE}},
            'data_preprocessor': {'to_rgb': to_rgb},
            'train_dataloader': {
                'dataset': {'type': dataset, 'pipeline': pipeline, 'serialize_data': False}
            },
        }
    )


@pytest.fixture
def photo(tmp_path):
    """Write an image with an orange gradient, wider than high."""
    columns = np.linspace(0, 1, 96)[None, :, None] * np.array([255, 128, 20])
    path = tmp_path / 'orange.png'
    Image.fromarray(np.tile(columns, (64, 1, 1)).astype(np.uint8)).save(path)
    return str(path)


def pixels(picture):
    return np.asarray(picture.image, int)


SRC = {'type': 'SimpleRandomCrop', 'crop_size': SIZE}


def test_a_row_shows_original_members_and_draws(photo):
    cfg = config(SRC, {'type': 'ThreeAugment', 'flip_prob': 1.0})
    sheet = AugmentationSheet(cfg, [photo, photo], cell=3 * SIZE)
    rows = sheet.rows(draws=2)
    assert [len(row) for row in rows] == [7, 7]
    titles = [picture.caption.split('\n')[0] for picture in rows[0]]
    members = ['grayscale', 'solarize', 'blur', 'colour jitter']
    assert titles == ['original', *members, 'draw 1', 'draw 2']
    assert picture_sheet(rows, 3 * SIZE).width == 7 * (3 * SIZE + 12)
    original, grey, solarized, blurred, _, draw, _ = rows[0]
    whole = Image.open(photo)
    middle = np.asarray(whole.resize((72, SIZE), Image.BICUBIC), int)[:, 12:-12]
    assert abs(pixels(original)[1::3, 1::3] - middle).max() <= 2  # enlarged threefold in squares
    assert abs(pixels(grey)[..., 0] - np.asarray(original.image.convert('L'), int)).max() <= 1
    value = pixels(original)
    np.testing.assert_array_equal(pixels(solarized), np.where(value < 128, value, 255 - value))
    assert solarized.caption == 'solarize\nthreshold 128'
    assert 0.1 <= float(blurred.caption.split()[-1]) <= 2
    assert 'ThreeAugment flip' in draw.caption.replace('\n', ' ')
    left, right = pixels(draw)[:, 0].sum(), pixels(draw)[:, -1].sum()
    assert ('solarize' in draw.caption) or left > right


def test_only_what_the_config_uses_is_shown_alone(photo):
    settings = {'members': ['blur', 'identity', {'type': 'Invert', 'prob': 1.0}]}
    cfg = config(
        SRC,
        {'type': 'ThreeAugment', 'color_jitter': None, 'blur_radius': (2, 2), **settings}
        | {'weights': [0, 0, 1]},
    )
    (row,) = AugmentationSheet(cfg, [photo], cell=144).rows(draws=1)
    captions = [picture.caption.split('\n') for picture in row]
    assert captions[1] == ['blur', 'radius 2']
    assert captions[2] == ['Invert']
    assert 'Invert' in ' '.join(captions[3])
    np.testing.assert_array_equal(pixels(row[2]), 255 - pixels(row[0]))


@pytest.mark.parametrize('to_rgb', [True, False])
def test_colours_are_right_through_the_whole_pipeline(photo, to_rgb):
    resize = {'type': 'ResizeEdge', 'scale': SIZE}  # to_rgb=False: a recipe for RGB arrays
    (row,) = AugmentationSheet(config(resize, to_rgb=to_rgb), [photo], cell=16).rows(draws=1)
    assert [picture.caption for picture in row] == ['original\n96x64', 'draw 1']
    for picture in row:
        red, green, blue = pixels(picture).mean((0, 1))
        assert red > green > blue


def test_rgb_arrays_of_a_data_set_keep_their_colours():
    cfg = config(to_rgb=False, dataset='Digits')
    sheet = AugmentationSheet(cfg, num_images=2, cell=64)
    rows = sheet.rows(draws=1)
    assert len(rows) == 2
    image = sheet.sources[0]['img']
    np.testing.assert_array_equal(pixels(rows[0][0])[::8, ::8], image)  # enlarged in squares
    image[..., 0] = 255
    red, *others = pixels(sheet.rows(draws=1)[0][1]).min((0, 1))
    assert (red, max(others)) == (255, 0)


def test_draws_follow_the_seed(photo):
    sheet = AugmentationSheet(config(SRC, {'type': 'ThreeAugment'}), [photo], cell=64)

    def shown(seed):
        set_random_seed(seed)
        return picture_sheet(sheet.rows(draws=3)).tobytes()

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)


def test_choice_of_images_follows_the_seed():
    cfg = config(to_rgb=False, dataset='Digits')
    sheets = [AugmentationSheet(cfg, num_images=4, seed=seed) for seed in (1, 2)]
    first, second = ([source['sample_idx'] for source in sheet.sources] for sheet in sheets)
    expected = np.random.default_rng(1).permutation(1259)[:4].tolist()
    assert first == expected != second


def test_crops_of_both_kinds(photo):
    crop = {'type': 'RandomResizedCrop', 'scale': 24, 'crop_ratio_range': (0.3, 0.4)}
    sheet = AugmentationSheet(config(crop), [photo], cell=96)
    random, simple = sheet.crop_rows(draws=3)
    assert random[0].caption == 'RandomResizedCrop\n30% to 40%'
    assert simple[0].caption == 'SimpleRandomCrop\naxes: both'
    assert [picture.frame for picture in random[1:]] == list(COLOURS[:3])
    for picture in random[1:]:
        assert 29 <= int(picture.caption.split('%')[0]) <= 41
    assert all(picture.caption.endswith('proportions kept') for picture in simple[1:])
    assert random[1].image.size == (96, 96)
    whole = {tuple(c) for c in pixels(random[0]).reshape(-1, 3)}
    assert set(COLOURS[:3]) <= whole


def test_boxes_are_plotted_where_they_lie():
    boxed = plot_boxes(Image.new('RGB', (200, 100)), [Crop((100.0, 50.0, 200.0, 100.0), 1.0)], 100)
    inked = np.argwhere(np.asarray(boxed).any(-1))
    assert boxed.size == (100, 50)
    assert inked.min(0).tolist() == [25, 50]
    assert inked.max(0).tolist() == [49, 99]
    assert len(inked) < 25 * 50  # an outline


def test_captions_are_broken_between_words():
    assert break_line('RandomFlip horizontal', 150) == ['RandomFlip horizontal']
    assert break_line('RandomFlip horizontal', 90) == ['RandomFlip', 'horizontal']
    assert break_line('iiii iiii iiii WWWW', 45) == ['iiii iiii iiii', 'WWWW']
    assert break_line('', 90) == []


def test_tensors_greys_and_normalised_images_become_pictures():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(to_picture(image, bgr=True), image[..., ::-1])
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    np.testing.assert_array_equal(to_picture(tensor, bgr=False), image)
    assert to_picture(image[..., :1], bgr=True).mode == 'RGB'
    stretched = np.asarray(to_picture((tensor.float() - 12) / 3, bgr=False))
    assert (stretched.min(), stretched.max()) == (0, 255)
    for several in ([tensor, tensor], tensor[None]):
        with pytest.raises(ValueError, match='pipelines of several views cannot be shown'):
            to_picture(several, bgr=False)


def test_photos_are_found_or_refused(tmp_path):
    assert Image.open(find_photo('sample:china')).size == (640, 427)
    with pytest.raises(ValueError, match="'sample:rome': give sample:china or sample:flower"):
        find_photo('sample:rome')
    (tmp_path / 'empty.jpg').touch()
    with pytest.raises(ValueError, match=r'empty.jpg cannot be read: the file is empty'):
        find_photo(str(tmp_path / 'empty.jpg'))
    with pytest.raises(ValueError, match=r'absent.jpg cannot be read'):
        find_photo('absent.jpg')


def test_a_config_without_training_shows_nothing():
    with pytest.raises(ValueError, match='no train_dataloader with a pipeline'):
        AugmentationSheet(Config({'model': {}}))
