"""Recording the sampled parameters of transforms does not change them."""

from dataclasses import dataclass

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.runner import set_random_seed
from mmpretrain.registry import TRANSFORMS

from vit_plugins.visualization.sampled_parameters import (
    describe_sampled,
    describe_value,
    record_sampled,
)

PIPELINE = [
    {'type': 'RandomResizedCrop', 'scale': 16},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'RandomApply', 'transforms': [{'type': 'ThreeAugment'}], 'prob': 0.7},
    {'type': 'RandAugment', 'policies': 'timm_increasing', 'num_policies': 2}
    | {'magnitude_level': 9, 'magnitude_std': 0.5},
    {'type': 'RandomErasing', 'erase_prob': 0.5},
]


def build(*nodes):
    return [TRANSFORMS.build(node) for node in nodes]


def run(pipeline, image):
    results = {'img': image.copy()}
    for transform in pipeline:
        results = transform(results)
    return results['img']


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def test_listening_changes_nothing_and_ends(image):
    pipeline = build(*PIPELINE)
    set_random_seed(0)
    expected = [run(pipeline, image) for _ in range(10)]
    set_random_seed(0)
    lines = []
    for before in expected:
        with record_sampled(pipeline) as sampled:
            np.testing.assert_array_equal(run(pipeline, image), before)
        lines += describe_sampled(sampled)
    heard = len(sampled)
    run(pipeline, image)
    assert len(sampled) == heard
    names = {line.split()[0] for line in lines}
    assert {'RandomResizedCrop', 'RandomFlip', 'ThreeAugment', 'RandomErasing'} <= names
    assert not {'RandAugment', 'RandomApply'} & names  # they only pick


def test_crop_and_flip_tell_what_the_image_shows(image):
    pipeline = build({'type': 'RandomCrop', 'crop_size': 10}, {'type': 'RandomFlip', 'prob': 1.0})
    with record_sampled(Compose(pipeline)) as sampled:
        shown = run(pipeline, image)
    crop, flip = describe_sampled(sampled)
    assert flip == 'RandomFlip horizontal'
    name, size, _, place = crop.split()
    left, top = map(int, place.split(','))
    assert (name, size) == ('RandomCrop', '10x10')
    np.testing.assert_array_equal(shown, image[top : top + 10, left : left + 10][:, ::-1])


def test_magnitudes_have_their_sign_and_what_is_switched_off_is_silent(image):
    turn = {'type': 'Rotate', 'magnitude_range': (0, 30), 'magnitude_level': 5}
    (always,) = build({**turn, 'prob': 1.0, 'random_negative_prob': 1.0})
    (never,) = build({**turn, 'prob': 0.0})
    with record_sampled([always, [never]]) as sampled:
        run([always, never, always], image)
    assert describe_sampled(sampled) == ['Rotate -15', 'Rotate -15']


def test_a_transform_without_parameters_is_named(image):
    pipeline = build({'type': 'Invert', 'prob': 1.0})
    with record_sampled(pipeline) as sampled:
        run(pipeline, image)
    assert describe_sampled(sampled) == ['Invert']


def test_three_augment_tells_member_and_jitter(image):
    pipeline = build({'type': 'ThreeAugment', 'members': ['blur'], 'blur_radius': (1.5, 1.5)})
    with record_sampled(pipeline) as sampled:
        run(pipeline, image)
    member, jitter = describe_sampled(sampled)[0].splitlines()
    assert member == 'ThreeAugment blur 1.5'
    assert sorted(word[0] for word in jitter.split()[1:]) == ['b', 'c', 's']


def test_simple_random_crop_tells_its_place(image):
    (crop,) = build({'type': 'SimpleRandomCrop', 'crop_size': 12, 'padding': 0, 'axes': 'x'})
    with record_sampled(crop) as sampled:
        run([crop], image)
    assert describe_sampled(sampled) == [f'SimpleRandomCrop at {sampled[0].value.left},0 of 16x12']


def test_torchvision_is_heard(image):
    pipeline = build(
        {'type': 'NumpyToPIL'},
        {'type': 'torchvision/RandomAffine', 'degrees': (7, 7), 'scale': (1, 1)},
        {'type': 'PILToNumpy'},
    )
    with record_sampled(pipeline) as sampled:
        run(pipeline, image)
    assert describe_sampled(sampled) == ['RandomAffine 7 0 0 1 0 0']
    assert 'get_params' not in vars(sampled[0].transform)


@dataclass(frozen=True)
class Params:
    angle: float = 12.3456
    mode: str = 'edge'
    centre: tuple[int, int] | None = None


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        (None, ''),
        (False, ''),
        (True, 'True'),
        (np.float32(0.12345), '0.123'),
        ((3, None, 0.5), '3 0.5'),
        (np.arange(2), '0 1'),
        (Params(), 'angle 12.3 edge'),
        (Params(centre=(1, 2)), 'angle 12.3 edge centre 1 2'),
    ],
)
def test_values_in_words(value, words):
    assert describe_value(value) == words
