from pathlib import Path

import mmpretrain
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image

from vit_plugins.config_edits.photos import accept_photos, photo_pipeline
from vit_plugins.config_edits.walking import image_size, walk_pipelines
from vit_plugins.datasets.transforms.load_photo import use_load_photo

HOST_CONFIGS = Path(mmpretrain.__file__).parent / '.mim/configs'
PHOTO = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)  # RGB


def names(pipeline):
    return [t['type'] for t in pipeline]


def run(pipeline, results):
    return Compose([TRANSFORMS.build(t) for t in pipeline])(results)


def model_input(cfg, packed):
    preprocessor = MODELS.build({'type': 'ClsDataPreprocessor', **cfg.data_preprocessor})
    batch = {'inputs': packed['inputs'][None], 'data_samples': [packed['data_samples']]}
    return preprocessor(batch)['inputs']


def test_model_sees_the_same_colours_in_file_and_array(tmp_path):
    """The host's CIFAR recipe takes RGB arrays; a PNG of the same pixels must come out equal."""
    Image.fromarray(PHOTO).save(tmp_path / 'x.png')
    cfg = Config.fromfile(HOST_CONFIGS / 'resnet/resnet18_8xb16_cifar10.py')
    pipeline = cfg.test_dataloader.dataset.pipeline
    from_array = model_input(cfg, run(pipeline, {'img': PHOTO.copy()}))
    accept_photos(cfg)
    pipeline = cfg.test_dataloader.dataset.pipeline
    from_file = model_input(cfg, run(pipeline, {'img_path': str(tmp_path / 'x.png')}))
    assert torch.equal(from_file, from_array)
    cfg.data_preprocessor.to_rgb = False  # the test can fail
    flipped = model_input(cfg, run(pipeline, {'img_path': str(tmp_path / 'x.png')}))
    assert not torch.allclose(flipped, from_array)


def test_simple_random_crop_resizes_by_itself():
    steps = [dict(type='SimpleRandomCrop', crop_size=32), dict(type='PackInputs')]
    assert names(photo_pipeline(steps, 32)) == ['LoadPhoto', *names(steps)]


def test_cifar_pipelines_take_photos_of_any_size(tmp_path):
    cfg = accept_photos(Config.fromfile(HOST_CONFIGS / 'resnet/resnet18_8xb16_cifar10.py'))
    train = cfg.train_dataloader.dataset.pipeline
    test = cfg.test_dataloader.dataset.pipeline
    assert names(train)[:3] == ['LoadPhoto', 'ResizeEdge', 'RandomCrop']
    assert names(test) == ['LoadPhoto', 'ResizeEdge', 'CenterCrop', 'PackInputs']
    for height, width in [(8, 8), (300, 40), (33, 500)]:
        pixels = np.zeros((height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'x.png')
        for pipeline in (train, test):
            packed = run(pipeline, {'img_path': str(tmp_path / 'x.png')})
            assert packed['inputs'].shape == (3, 32, 32)


@pytest.mark.parametrize(
    'name',
    [
        'swin_transformer/swin-tiny_16xb64_in1k.py',
        'vision_transformer/vit-base-p16_64xb64_in1k.py',
    ],
)
def test_of_recipes_for_files_the_loader_alone_changes(name):
    cfg = Config.fromfile(HOST_CONFIGS / name)
    before = cfg.to_dict()
    for pipeline in walk_pipelines(before):
        assert pipeline[0] == {'type': 'LoadImageFromFile'}
        pipeline[0]['type'] = 'LoadPhoto'
    assert accept_photos(cfg).to_dict() == before


def test_only_the_default_loader_is_replaced():
    pack = dict(type='PackInputs')
    host = dict(type='mmpretrain.LoadImageFromFile', imdecode_backend='cv2', to_float32=True)
    assert use_load_photo([host, pack]) == [dict(type='LoadPhoto', to_float32=True), pack]
    for chosen in (dict(imdecode_backend='pillow'), dict(color_type='unchanged')):
        own = dict(type='LoadImageFromFile', **chosen)
        assert use_load_photo([own, pack]) == [own, pack]
    assert use_load_photo([len]) == [len]


def test_twice_is_once():
    cfg = accept_photos(Config.fromfile(HOST_CONFIGS / 'resnet/resnet18_8xb16_cifar10.py'))
    before = cfg.to_dict()
    assert accept_photos(cfg).to_dict() == before


def test_grey_models_read_grey(tmp_path):
    cfg = accept_photos(Config.fromfile(HOST_CONFIGS / 'lenet/lenet5_mnist.py'))
    Image.fromarray(PHOTO).save(tmp_path / 'x.png')
    packed = run(cfg.test_dataloader.dataset.pipeline, {'img_path': str(tmp_path / 'x.png')})
    assert packed['inputs'].shape == (1, 32, 32)
    assert 'to_rgb' not in cfg.data_preprocessor


def test_colours_within_the_pipeline_are_swapped_too():
    pipeline = [
        {'type': 'Resize', 'scale': 32},
        {'type': 'RandAugment', 'hparams': {'pad_val': [1, 2, 3]}},
        {'type': 'RandomErasing', 'fill_color': (1, 2, 3), 'fill_std': [4, 5, 6]},
        {'type': 'RandomCrop', 'crop_size': 32, 'pad_val': 7},
    ]
    _, _, augment, erase, crop = photo_pipeline(pipeline, None)
    assert augment['hparams'] == {'pad_val': [3, 2, 1]}
    assert (erase['fill_color'], erase['fill_std']) == ((3, 2, 1), [6, 5, 4])
    assert crop['pad_val'] == 7
    assert pipeline[2]['fill_color'] == (1, 2, 3)


def config(*transforms, **backbone):
    loader = {'dataset': {'type': 'CIFAR10', 'pipeline': list(transforms)}}
    return Config({'train_dataloader': loader, 'model': {'backbone': backbone}})


@pytest.mark.parametrize(
    ('cfg', 'size'),
    [
        (config({'type': 'RandomCrop', 'crop_size': 28}, img_size=32), 28),
        (config({'type': 'RandomCrop', 'crop_size': (28, 40)}), (28, 40)),
        (config({'type': 'CenterCrop', 'crop_size': (40, 28)}), (28, 40)),
        (config({'type': 'Resize', 'scale': (40, 28)}), (28, 40)),
        (config({'type': 'mmpretrain.RandomResizedCrop', 'scale': 224}), 224),
        (config({'type': 'PackInputs'}, img_size=32), 32),
    ],
)
def test_image_size(cfg, size):
    assert image_size(cfg) == size


def test_unknown_image_size():
    with pytest.raises(ValueError, match=r'neither crop nor resize and .* no img_size'):
        accept_photos(config({'type': 'PackInputs'}))


def test_tall_input(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / 'x.png')
    pipeline = photo_pipeline([{'type': 'PackInputs'}], (48, 24))
    assert run(pipeline, {'img_path': str(tmp_path / 'x.png')})['inputs'].shape == (3, 48, 24)


def test_batch_transforms_take_the_order_of_channels_of_files():
    erase = {'type': 'BatchRandomErasing', 'fill_color': [1, 2, 3], 'fill_std': [4, 5, 6]}
    augment = {
        **{'type': 'BatchRandAugment', 'channel_order': 'rgb'},
        'hparams': {'pad_val': [7, 8, 9]},
    }
    cfg = Config(
        {
            'model': {'backbone': {'img_size': 32}},
            'data_preprocessor': {'to_rgb': False, 'batch_transforms': [augment, erase]},
            'train_dataloader': {
                'dataset': {
                    'type': 'CachedImages',
                    'dataset': {'pipeline': [{'type': 'PackInputs'}]},
                }
            },
        }
    )
    accept_photos(cfg)
    augment, erase = cfg.data_preprocessor.batch_transforms
    assert augment.channel_order == 'bgr'
    assert augment.hparams.pad_val == [9, 8, 7]
    assert (erase.fill_color, erase.fill_std) == ([3, 2, 1], [6, 5, 4])
    assert cfg.data_preprocessor.to_rgb
    names = [step['type'] for step in cfg.train_dataloader.dataset.dataset.pipeline]
    assert names == ['LoadPhoto', 'ResizeEdge', 'CenterCrop', 'PackInputs']
    once = cfg.to_dict()
    accept_photos(cfg)  # files already: nothing is turned back
    assert cfg.to_dict() == once
