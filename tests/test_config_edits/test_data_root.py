import json
from pathlib import Path

import mmpretrain
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from ranks import run_on_ranks

from vit_plugins.config_edits import known_layout
from vit_plugins.config_edits.data_root import apply_data_root, hold_nothing_out
from vit_plugins.config_edits.dataset_by_name import apply_data
from vit_plugins.datasets import image_check
from vit_plugins.datasets.folder_scan import FolderError

HOST_CONFIGS = Path(mmpretrain.__file__).parent / '.mim/configs'
OUR_CONFIGS = Path(__file__).parents[2] / 'configs'
CIFAR = HOST_CONFIGS / 'resnet/resnet18_8xb16_cifar10.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def apply(path, root, **kwargs):
    return apply_data_root(Config.fromfile(path), root, **kwargs)


def datasets(cfg):
    # serialization collects garbage, half a second each time
    built = [{**cfg[loader].dataset, 'serialize_data': False} for loader in LOADERS]
    return [DATASETS.build(dataset) for dataset in built]


def paths(dataset):
    return {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}


@pytest.mark.parametrize(
    'path',
    [
        CIFAR,
        HOST_CONFIGS / 'vision_transformer/vit-base-p16_64xb64_in1k.py',
        HOST_CONFIGS / 'swin_transformer/swin-tiny_16xb64_in1k.py',
        HOST_CONFIGS / 'convnext/convnext-tiny_32xb128_in1k.py',
        HOST_CONFIGS / 'efficientnet/efficientnet-b0_8xb32_in1k.py',
        HOST_CONFIGS / 'lenet/lenet5_mnist.py',
        OUR_CONFIGS / 'convit_drloc_folder.py',
        OUR_CONFIGS / 'convit_drloc_folder_finetune.py',
        OUR_CONFIGS / 'convit/convit-tiny-plus_8xb64-1000e_cifar100.py',
        OUR_CONFIGS / 'drloc/swin-tiny-drloc_8xb128-100e.py',
    ],
    ids=lambda path: path.stem,
)
def test_any_config_gets_batches_of_the_right_shape(photos, path):
    root = photos(blue=6, red=6)
    before = Config.fromfile(path)
    cfg = Config.fromfile(path)
    cfg.train_dataloader.batch_size = 2  # ten images fill it; some recipes drop a last batch
    cfg = apply_data_root(cfg, root)
    train, val, test = datasets(cfg)
    assert train.CLASSES == val.CLASSES == test.CLASSES == ('blue', 'red')
    assert (len(train), len(val), len(test)) == (10, 2, 2)
    assert train[0]['inputs'].shape == train[9]['inputs'].shape == val[0]['inputs'].shape
    assert cfg.data_preprocessor.num_classes == 2
    grey = len(cfg.data_preprocessor.mean) == 1
    assert cfg.data_preprocessor.get('to_rgb') or grey
    assert cfg.data_preprocessor.mean == before.data_preprocessor.mean
    assert '1000' not in str([cfg.model.head, cfg.model.get('train_cfg')])


@pytest.mark.slow
def test_a_host_config_trains_and_tells_colours_apart(photos, tmp_path):
    cfg = apply(CIFAR, photos(blue=20, red=20))
    for loader in LOADERS:
        cfg[loader].num_workers = 0
    cfg.model.backbone.update(base_channels=8, stem_channels=8)
    cfg.model.head.in_channels = 64
    cfg.train_cfg.max_epochs = 15  # of two steps each
    cfg.optim_wrapper.optimizer.lr = 0.01
    cfg.randomness = dict(seed=0)  # the host's config draws another one each time
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.test()['accuracy/top1'] == 100


def test_dataloader_collates_photos_of_different_sizes(photos):
    cfg = apply(CIFAR, photos(blue=6, red=6))
    cfg.train_dataloader.num_workers = 0
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    assert torch.stack(list(batch['inputs'])).shape == (10, 3, 32, 32)
    model = MODELS.build({'data_preprocessor': cfg.data_preprocessor, **cfg.model})
    losses = model.train_step(batch, optim_wrapper=_NoStep())
    assert torch.isfinite(losses['loss'])


class _NoStep:
    def optim_context(self, model):
        return torch.enable_grad()

    def update_params(self, loss):
        loss.backward()


def test_train_val_test_folders(photos, capsys):
    photos('train', blue=4, red=3)
    photos('val', blue=2, red=2)
    root = photos('test', blue=1, red=5)
    cfg = apply(CIFAR, root)
    train, val, test = datasets(cfg)
    for part, dataset, count in [('train', train, 7), ('val', val, 4), ('test', test, 6)]:
        assert len(dataset) == count
        assert all(path.startswith(str(root / part)) for path in paths(dataset))
    assert not train.test_mode
    assert val.test_mode
    told = capsys.readouterr().out
    assert 'training on 7 images, validation on 4 of val' in told
    assert 'test on 6 images of test' in told


def test_test_folder_is_never_for_validation(photos, capsys):
    photos('train', blue=10, red=10)
    root = photos('test', blue=3, red=3)
    train, val, test = datasets(apply(CIFAR, root, val_fraction=0.3, seed=5))
    assert (len(train), len(val), len(test)) == (14, 6, 6)
    assert all(path.startswith(str(root / 'train')) for path in paths(train) | paths(val))
    assert not paths(train) & paths(val)
    told = capsys.readouterr().out
    assert 'validation on the 6 others (30% of each class, split off by seed 5)' in told


def test_without_test_folder_validation_stands_in(photos, capsys):
    _, val, test = datasets(apply(CIFAR, photos(blue=10, red=10)))
    assert paths(val) == paths(test)
    assert 'no test folder: test means the validation images' in capsys.readouterr().out


def test_what_is_told(photos, capsys):
    root = photos(blue=30, green=3, red=1)
    (root / 'blue/notes.txt').touch()
    apply(CIFAR, root)
    told = capsys.readouterr().out
    assert f'3 classes in {root}: blue (24), green (2), red (1)' in told
    assert 'with one image, hence in training only: red' in told
    assert f'skipped in {root}: 1 .txt' in told
    assert "largest class has 24 images and the smallest 1: balance='sampler'" in told


def test_config_may_say_fraction_and_balance(photos):
    cfg = Config.fromfile(OUR_CONFIGS / 'convit_drloc_folder.py')
    cfg.merge_from_dict({'val_fraction': 0.5, 'balance': 'loss'})
    root = photos(blue=12, red=4)
    apply_data_root(cfg, root)
    assert cfg.train_dataloader.dataset.val_fraction == 0.5
    assert cfg.model.head.head.loss.class_weight == [pytest.approx(2 / 3, abs=1e-4), 2.0]
    apply_data_root(cfg, root, balance='sampler')
    assert cfg.train_dataloader.sampler.type == 'ClassBalancedSampler'


@pytest.mark.parametrize(
    'wrapped',
    [
        lambda d: {'type': 'RepeatDataset', 'times': 3, 'dataset': d},
        lambda d: {'type': 'ConcatDataset', 'datasets': [d, d]},
    ],
)
def test_wrapped_data_sets(photos, wrapped):
    cfg = Config.fromfile(CIFAR)
    cfg.train_dataloader.dataset = wrapped(cfg.train_dataloader.dataset)
    repeat = 3 if cfg.train_dataloader.dataset.type == 'RepeatDataset' else 1
    apply_data_root(cfg, photos(blue=5, red=5))
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 8 * repeat
    assert train[0]['inputs'].shape == (3, 32, 32)


def test_choice_of_other_images_is_dropped_aloud(photos, capsys):
    cfg = Config.fromfile(CIFAR)
    cfg.train_dataloader.dataset.indices = 4
    assert len(datasets(apply_data_root(cfg, photos(blue=5, red=5)))[0]) == 8
    assert 'indices=4 chose from other images: dropped' in capsys.readouterr().out


def test_unreadable_image_is_named_before_training(photos):
    root = photos(blue=3, red=3)
    (root / 'red/01.png').write_bytes(b'\x89PNG no more')
    with pytest.raises(FolderError, match=r'1 unreadable image\(s\) in .*\n  red/01.png: '):
        apply(CIFAR, root)
    assert apply(CIFAR, root, verify=False)


def test_second_run_reads_nothing(photos, monkeypatch):
    root = photos(blue=3, red=3)
    apply(CIFAR, root)
    monkeypatch.setattr(image_check, 'inspect_image', lambda path: pytest.fail('read again'))
    apply(CIFAR, root)


@pytest.mark.parametrize('part', ['val', 'test'])
def test_part_may_lack_a_class_but_not_bring_one(photos, part, capsys):
    photos('train', blue=2, green=2, red=2)
    root = photos(part, blue=1, red=3)
    (root / part / 'green').mkdir()  # empty: the same as absent
    dataset = dict(zip(['train', 'val', 'test'], datasets(apply(CIFAR, root)), strict=True))[part]
    assert dataset.metainfo['classes'] == ('blue', 'green', 'red')
    labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
    assert [int(label) for label in labels] == [0, 2, 2, 2]  # by name
    assert f'{root / part} has no image of green: it says' in capsys.readouterr().out
    photos(part, owl=2)
    with pytest.raises(FolderError, match=rf"{part} .* has, unknown in training, 'owl'"):
        apply(CIFAR, root)


@pytest.mark.parametrize('inside', ['', 'images'])
def test_unlabelled_test_folder_is_left_alone_aloud(photos, inside, capsys):
    root = photos('train', blue=5, red=5)
    (root / 'test' / inside).mkdir(parents=True)
    for path in sorted((root / 'train/red').iterdir()):
        (root / 'test' / inside / path.name).write_bytes(path.read_bytes())
    _, val, test = datasets(apply(CIFAR, root))
    assert paths(test) == paths(val)
    told = capsys.readouterr().out
    assert f'{root}/test holds no folders of the classes' in told
    assert f'tools/predict.py WORK_DIR {root}/test' in told
    assert 'no test folder: test means the validation images' in told


def test_known_classes(photos, capsys):
    root = photos(blue=2, red=2)
    cfg = apply(CIFAR, root, classes=['red', 'owl', 'blue'])
    assert cfg.model.head.num_classes == 3
    test = DATASETS.build(cfg.test_dataloader.dataset)
    labels = [int(test.get_data_info(i)['gt_label']) for i in range(2)]
    assert labels == [2, 0]  # numbered as the model has them
    assert 'has no image of owl: it says nothing' in capsys.readouterr().out
    with pytest.raises(FolderError, match="lacks 'owl' and has, unknown in training, 'red'"):
        apply(CIFAR, root, classes=['blue', 'owl'])


def test_folder_without_classes_and_without_the_own_data(tmp_path):
    with pytest.raises(FolderError, match=r'no class folders(.|\n)*nor are the files of CIFAR10'):
        apply(CIFAR, tmp_path)
    assert list(tmp_path.iterdir()) == []  # nothing was downloaded


def test_empty_class(photos):
    root = photos(blue=2, red=2)
    (root / 'owl').mkdir()
    with pytest.raises(FolderError, match=r"no image in 1 .*'owl' \(nothing in it\)"):
        apply(CIFAR, root)


def test_no_classification_config(photos):
    cfg = Config.fromfile(CIFAR)
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match='no classification config: it has no val_dataloader'):
        apply_data_root(cfg, photos(blue=2, red=2))


def test_unknown_data_set(photos):
    cfg = Config.fromfile(CIFAR)
    cfg.train_dataloader.dataset.type = 'Nonesuch'
    with pytest.raises(ValueError, match="under the name 'Nonesuch'"):
        apply_data_root(cfg, photos(blue=2, red=2))


def test_batch_that_cannot_be_filled(photos):
    cfg = Config.fromfile(CIFAR)
    cfg.train_dataloader.drop_last = True
    with pytest.raises(ValueError, match='8 training images do not fill one batch of 16: set'):
        apply_data_root(cfg, photos(blue=5, red=5))


def test_own_data_set_keeps_the_recipe(tmp_path, monkeypatch):
    """Uses a replacement for CIFAR-10's archive, whose md5 a test cannot reproduce."""
    import pickle

    from mmpretrain.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    batch = {'data': np.zeros((2, 3072), np.uint8), 'labels': [0, 1]}
    for name in [*(n for n, _ in CIFAR10.train_list), 'test_batch', 'batches.meta']:
        (folder / name).write_bytes(pickle.dumps(batch))
    monkeypatch.setattr('mmpretrain.datasets.cifar.check_md5', lambda *args, **kwargs: True)
    monkeypatch.setattr(known_layout, 'require_data', lambda cfg: None)
    before = Config.fromfile(CIFAR)
    for named in (tmp_path, folder):  # the folder, or the archive's folder inside it
        cfg = apply(CIFAR, named)
        assert cfg.model == before.model
        assert cfg.test_dataloader.dataset.data_root == str(tmp_path)
        assert cfg.train_dataloader.dataset.type == 'CIFAR10'


def test_imagenet_is_known_by_its_folder_names(tmp_path, monkeypatch):
    monkeypatch.setattr(known_layout, 'require_data', lambda cfg: None)
    path = HOST_CONFIGS / 'vision_transformer/vit-base-p16_64xb64_in1k.py'
    for i in range(1000):
        (tmp_path / f'train/n{i:08d}').mkdir(parents=True)
    cfg = apply(path, tmp_path)
    assert cfg.train_dataloader.dataset.type == 'ImageNet'
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path)


def test_digits_need_no_folder_so_none_is_theirs(photos):
    cfg = Config.fromfile(CIFAR)
    for loader in LOADERS:
        cfg[loader].dataset = {
            'type': 'Digits',
            'split': 'test',
            'pipeline': [{'type': 'Resize', 'scale': 32}, {'type': 'PackInputs'}],
        }
    assert (
        apply_data_root(cfg, photos(blue=2, red=2)).train_dataloader.dataset.type == 'ImageFolder'
    )


def test_config_survives_dumping(photos, tmp_path):
    cfg = apply(CIFAR, photos(blue=5, red=5))
    cfg.dump(tmp_path / 'config.py')
    again = Config.fromfile(tmp_path / 'config.py')
    assert [len(d) for d in datasets(again)] == [8, 2, 2]
    as_text = [json.dumps(c.to_dict(), sort_keys=True) for c in (again, cfg)]
    assert as_text[0] == as_text[1]


def write_error(rank, root, answers):
    try:
        apply(CIFAR, root)
        text = 'no error'
    except FolderError as error:
        text = str(error)
    (answers / f'{rank}.txt').write_text(text)


@pytest.mark.slow
def test_every_rank_hears_of_the_unreadable_image(photos, tmp_path):
    root = photos(blue=3, red=3)
    (root / 'red/01.png').write_text('text')
    run_on_ranks(write_error, tmp_path, root, tmp_path)
    told = [(tmp_path / f'{rank}.txt').read_text() for rank in range(2)]
    assert told[0] == told[1]
    assert 'red/01.png' in told[1]


def test_without_validation_nothing_is_held_out(photos, capsys):
    root = photos(blue=10, red=10)
    cfg = apply(OUR_CONFIGS / 'convit_drloc_folder.py', root, validate=False)
    assert 'training on 20 images, none held out' in capsys.readouterr().out
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 20
    with pytest.raises(ValueError, match='val_fraction=0: no image is held out'):
        DATASETS.build(cfg.test_dataloader.dataset)  # nor is one tested that was trained on
    with pytest.raises(ValueError, match=r'val_fraction=0 holds no image .* --no-validate'):
        apply_data_root(cfg, root)


def test_without_validation_a_val_folder_is_reported(photos, capsys):
    root = photos(**{'train/blue': 4, 'train/red': 4, 'val/blue': 1, 'val/red': 1})
    apply(OUR_CONFIGS / 'convit_drloc_folder.py', root, validate=False)
    assert 'training on 8 images, none held out for a validation; the 2 of val' in (
        capsys.readouterr().out
    )


def test_without_validation_also_where_the_config_names_the_folder():
    cfg = Config.fromfile(OUR_CONFIGS / 'convit_drloc_folder.py')
    cfg.train_dataloader.dataset.fold = (0, 5)
    hold_nothing_out(cfg)
    assert cfg.train_dataloader.dataset.val_fraction == 0
    assert 'fold' not in cfg.train_dataloader.dataset


def test_fraction_beside_a_val_folder(photos):
    root = photos(**{'train/blue': 4, 'train/red': 4, 'val/blue': 1, 'val/red': 1})
    with pytest.raises(ValueError, match=r'val_fraction=0\.2 would have no effect: .*val\. Leave'):
        apply(OUR_CONFIGS / 'convit_drloc_folder.py', root, asked={'val_fraction'})
    cfg = Config.fromfile(OUR_CONFIGS / 'convit_drloc_folder.py')
    cfg.val_fraction = 0  # says what happens anyway
    train, val, _ = datasets(apply_data_root(cfg, root, asked={'val_fraction'}))
    assert (len(train), len(val)) == (8, 2)


def test_balance_of_a_retrieval_recipe_is_refused(photos):
    with pytest.raises(ValueError, match=r'balance would have no effect: .* retrieval'):
        apply(OUR_CONFIGS / 'retrieval_digits.py', photos(a=2, b=2), asked={'balance'})


def test_class_folders_never_take_the_place_of_a_dataset_that_was_asked_for(photos):
    root = photos(blue=6, red=6)
    recipe = OUR_CONFIGS / 'drloc/swin-tiny-drloc_8xb128-100e.py'
    cfg = apply_data(Config.fromfile(recipe), 'svhn')
    with pytest.raises(ValueError, match=rf'(?s)--data svhn is not in .*{root}.*train_32x32\.mat'):
        apply_data_root(cfg, root, data='svhn')
    folders = apply(OUR_CONFIGS / 'convit_drloc_folder.py', root, data='mine.py')
    assert folders.train_dataloader.dataset.type == 'ImageFolder'
