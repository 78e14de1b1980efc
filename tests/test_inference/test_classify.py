"""`Classifier`: files, arrays and PIL images, answers, probabilities, features."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image

import vit_plugins
from vit_plugins import Classifier
from vit_plugins.inference.pixel_input import loaded_pixels


@pytest.fixture
def work_dir(tmp_path, config):
    folder = tmp_path / 'work'
    folder.mkdir()
    cfg = config(3)
    cfg.test_dataloader.dataset = dict(
        type='CustomDataset', data_root='/gone', pipeline=cfg.test_dataloader.dataset.pipeline
    )
    for name in ('train', 'val'):
        cfg.pop(f'{name}_dataloader')
    cfg.dump(folder / 'recipe.py')
    model = MODELS.build(cfg.model)
    state = {name: torch.randn(value.shape) for name, value in model.state_dict().items()}
    meta = {'dataset_meta': {'classes': ('ant', 'bee', 'cat')}}
    torch.save({'state_dict': state, 'meta': meta}, folder / 'epoch_1.pth')
    return folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (5, 20, 24, 3), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f'{i}.png')
    return folder, pixels


def test_files_arrays_and_pil_images_give_the_same(work_dir, photos):
    folder, pixels = photos
    classifier = Classifier(work_dir, device='cpu', batch_size=2)
    files = classifier(str(folder))
    arrays = classifier(list(pixels))
    pictures = classifier([Image.open(folder / f'{i}.png') for i in range(5)])
    assert [a.classes for a in files] == [a.classes for a in arrays]
    assert [a.classes for a in files] == [a.classes for a in pictures]
    assert [a.image for a in files] == [str(folder / f'{i}.png') for i in range(5)]
    assert [a.image for a in arrays] == [f'image {i}' for i in range(5)]
    assert len({a.classes for a in files}) == 5
    (mirrored,) = classifier(pixels[0][..., ::-1])  # BGR by mistake is another picture
    assert mirrored.classes != files[0].classes


def test_answers_and_probabilities(work_dir, photos):
    folder, _ = photos
    classifier = Classifier(work_dir, device='cpu')
    assert classifier.classes == ('ant', 'bee', 'cat')
    answers = classifier(folder)
    table = classifier.probabilities(folder)
    assert table.shape == (5, 3)
    np.testing.assert_allclose(table.sum(1), 1, atol=1e-6)
    for answer, row in zip(answers, table, strict=True):
        assert dict(answer.classes) == dict(zip(classifier.classes, row.tolist(), strict=True))
        assert answer.label == classifier.classes[row.argmax()]
        assert answer.probability == row.max()
    assert [a.classes for a in classifier(folder, top_k=1)] == [a.classes[:1] for a in answers]
    assert repr(classifier) == f"Classifier('{work_dir}/epoch_1.pth', 3 classes)"


def test_features_are_those_the_classifiers_layer_reads(work_dir, photos):
    folder, _ = photos
    classifier = Classifier(work_dir, device='cpu')
    features = classifier.features(folder)
    head = classifier.trained.model.head
    with torch.no_grad():
        scores = head.layers(torch.from_numpy(features)).softmax(1)
    np.testing.assert_allclose(scores, classifier.probabilities(folder), atol=1e-5)


def test_a_stream_is_read_as_it_comes(work_dir, photos):
    folder, _ = photos
    taken = []

    def names():
        for i in range(5):
            taken.append(i)
            yield str(folder / f'{i}.png')

    answers = Classifier(work_dir, device='cpu', batch_size=2).stream(names())
    first = next(answers)
    assert taken == [0, 1]
    assert [first.image, *(a.image for a in answers)] == [
        str(folder / f'{i}.png') for i in range(5)
    ]


def test_a_checkpoint_stands_for_its_work_dir(work_dir, photos):
    folder, _ = photos
    expected = Classifier(work_dir, device='cpu')(folder)
    assert Classifier(work_dir / 'epoch_1.pth', device='cpu')(folder) == expected
    moved = (work_dir / 'recipe.py').rename(work_dir.parent / 'moved.py')
    assert Classifier(work_dir / 'epoch_1.pth', moved, device='cpu')(folder) == expected


def test_unreadable_files_have_a_problem(work_dir, photos):
    folder, _ = photos
    (folder / '2.png').write_bytes((folder / '2.png').read_bytes()[:60])
    classifier = Classifier(work_dir, device='cpu')
    answers = classifier(folder)
    bad = answers[2]
    assert (bad.label, bad.probability, bad.classes) == (None, None, ())
    assert bad.problem
    assert all(answer.problem is None for answer in answers if answer is not bad)
    for method in (classifier.probabilities, classifier.features):
        with pytest.raises(ValueError, match=r'2\.png cannot be read: '):
            method(folder)


@pytest.mark.parametrize(
    ('image', 'told'),
    [
        (np.zeros((4, 4), np.uint8), r'RGB image \(H, W, 3\) of uint8, got \(4, 4\) of uint8'),
        (np.zeros((4, 4, 3)), r'got \(4, 4, 3\) of float64'),
        (np.zeros((0, 4, 3), np.uint8), r'got \(0, 4, 3\)'),
        (Image.new('F', (4, 4)), 'mode F has no known range'),
    ],
)
def test_pixels_of_another_kind_are_refused(work_dir, image, told):
    with pytest.raises(ValueError, match=told):
        Classifier(work_dir, device='cpu')([image])


def test_other_refused_arguments(work_dir, tmp_path):
    classifier = Classifier(work_dir, device='cpu')
    with pytest.raises(TypeError, match=r'a path, an RGB array .* got a int'):
        classifier([3])
    with pytest.raises(ValueError, match='top_k must be 1 or more, got 0'):
        classifier([], top_k=0)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'no image in .*empty'):
        classifier(tmp_path / 'empty')
    with pytest.raises(ValueError, match='batch_size must be 1 or more, got 0'):
        Classifier(work_dir, batch_size=0)
    with pytest.raises(FileNotFoundError, match='there is no nowhere: give the work dir'):
        Classifier('nowhere')
    with pytest.raises(FileNotFoundError, match=r'there is no file x\.pth'):
        Classifier(work_dir, checkpoint='x.pth')
    with pytest.raises(ValueError, match='is a checkpoint already: leave'):
        Classifier(work_dir / 'epoch_1.pth', checkpoint=work_dir / 'epoch_1.pth')


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGBA', 'CMYK', '1', 'I;16'])
def test_pil_images_of_every_mode_are_as_their_files(tmp_path, mode):
    rng = np.random.default_rng(0)
    if mode == 'I;16':
        image = Image.fromarray(rng.integers(0, 4000, (9, 8), np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 255, (9, 8, 4), np.uint8)).convert(mode)
    file = tmp_path / ('x.tif' if mode == 'CMYK' else 'x.png')
    image.save(file)
    load = TRANSFORMS.build(dict(type='LoadPhoto'))
    from_file = load({'img_path': str(file)})['img']
    np.testing.assert_allclose(
        loaded_pixels(image)['img'].astype(int), from_file, atol=1 if mode == 'CMYK' else 0
    )


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match=r"module 'vit_plugins' has no attribute 'Clasifier'"):
        vit_plugins.Clasifier  # noqa: B018
    assert set(vit_plugins.__all__) >= {'Classifier', 'Searcher'}
