"""The predict tool: from a work dir and files to names and probabilities."""

import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image
from tool_loading import load_tool

from vit_plugins.command_line.commands import predict as predict_command
from vit_plugins.inference.classify import Classifier, Prediction

ROOT = Path(__file__).parents[2]
CLASSES = ('blue', 'green', 'red')
MODEL = {
    'type': 'ImageClassifier',
    'backbone': {
        **{'type': 'VisionTransformer', 'img_size': 16, 'patch_size': 8},
        'arch': {'embed_dims': 32, 'num_layers': 1, 'num_heads': 2, 'feedforward_channels': 32},
    },
    'head': {'type': 'VisionTransformerClsHead', 'num_classes': 3, 'in_channels': 32},
}
REST = {
    'val_evaluator': {'type': 'Accuracy', 'topk': 1},
    'test_evaluator': {'type': 'Accuracy', 'topk': 1},
    'val_cfg': {},
    'test_cfg': {},
    'train_cfg': {'by_epoch': True, 'max_epochs': 1},
    'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
}


def config(kind='CIFAR10', to_rgb=False, train=(), test=(), **dataset):
    pack = {'type': 'PackInputs'}
    sources = {'train_dataloader': [*train, pack], 'test_dataloader': [*test, pack]}
    loaders = {
        name: {
            **{'batch_size': 4, 'num_workers': 0},
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {'type': kind, 'data_root': '/gone', 'pipeline': pipeline, **dataset},
        }
        for name, pipeline in sources.items()
    }
    loaders['val_dataloader'] = loaders['test_dataloader']
    normal = {'mean': [120, 110, 100], 'std': [50, 60, 70], 'to_rgb': to_rgb}
    return Config(
        {
            **{'default_scope': 'mmpretrain', 'model': MODEL, 'data_preprocessor': normal},
            **{**loaders, **REST},
        }
    )


@pytest.fixture(scope='module')
def predict():
    return load_tool('predict')


@pytest.fixture
def trained(tmp_path):
    """Write config and checkpoint of a training; weights are large and random."""

    def make(cfg, name='epoch_1.pth', classes=CLASSES):
        work_dir = tmp_path / 'work'
        work_dir.mkdir(exist_ok=True)
        cfg.dump(work_dir / 'recipe.py')
        state = {k: torch.randn(v.shape) for k, v in MODELS.build(cfg.model).state_dict().items()}
        meta = {'dataset_meta': {'classes': classes}} if classes else {}
        torch.save({'state_dict': state, 'meta': meta}, work_dir / name)
        return work_dir

    return make


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / 'new'
    folder.mkdir()
    pixels = rng.integers(0, 255, (6, 16, 16, 3), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f'{i}.png')
    return folder, pixels


def as_json(predict, work_dir, *arguments):
    out = work_dir.parent / 'out.json'
    assert predict.main([str(work_dir), *map(str, arguments), '--out', str(out)]) == 0
    return json.loads(out.read_text())


def probabilities(report):
    answers = [
        dict((p['class'], p['probability']) for p in i['predictions']) for i in report['images']
    ]
    return torch.tensor([[answer[name] for name in CLASSES] for answer in answers])


def scores_of_arrays(work_dir, pixels):
    """Return the scores of the recipe's own evaluation, on RGB arrays."""
    cfg = Config.fromfile(work_dir / 'recipe.py')
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor}).eval()
    model.load_state_dict(torch.load(work_dir / 'epoch_1.pth')['state_dict'])
    pipeline = Compose([TRANSFORMS.build(t) for t in cfg.test_dataloader.dataset.pipeline])
    batch = default_collate([pipeline({'img': image.copy()}) for image in pixels])
    with torch.no_grad():
        return torch.stack([s.pred_score for s in model.test_step(batch)])


def test_models_of_rgb_arrays_see_files_in_the_right_order(predict, trained, photos):
    work_dir = trained(config(train=[{'type': 'RandomCrop', 'crop_size': 16, 'padding': 2}]))
    folder, pixels = photos
    found = probabilities(as_json(predict, work_dir, folder))
    expected = scores_of_arrays(work_dir, pixels)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    flipped = scores_of_arrays(work_dir, pixels[..., ::-1])
    assert (flipped - expected).abs().max() > 0.1  # the test can fail


def test_probabilities_are_those_of_the_test_tool(predict, trained, photos, test_tool, tmp_path):
    folder, _ = photos
    for i, path in enumerate(sorted(folder.iterdir())):
        (tmp_path / 'set' / CLASSES[i % 3]).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / 'set' / CLASSES[i % 3] / path.name)
    load = {'type': 'LoadImageFromFile'}
    cfg = config(
        'ImageFolder', to_rgb=True, train=[load], test=[load], data_root=str(tmp_path / 'set')
    )
    work_dir = trained(cfg)
    report = as_json(predict, work_dir, tmp_path / 'set', '--batch-size', '4')
    hits = [i['predictions'][0]['class'] == Path(i['image']).parent.name for i in report['images']]
    assert len(hits) == 6
    metrics = test_tool.main([str(work_dir)])
    assert metrics['accuracy/top1'] == pytest.approx(100 * np.mean(hits))


def test_photos_of_other_sizes_and_kinds(predict, trained, tmp_path):
    work_dir = trained(config(train=[{'type': 'RandomCrop', 'crop_size': 16}]))
    for name, mode, size in [
        ('a.jpg', 'L', (90, 40)),
        ('b.png', 'RGBA', (8, 9)),
        ('c.bmp', 'P', (16, 99)),
    ]:
        Image.new('RGB', size, (200, 30, 60)).convert(mode).save(tmp_path / name)
    report = as_json(predict, work_dir, *(tmp_path / n for n in ('a.jpg', 'b.png', 'c.bmp')))
    assert len(report['images']) == 3
    assert all(
        sum(p['probability'] for p in i['predictions']) == pytest.approx(1)
        for i in report['images']
    )


def test_unreadable_files_are_listed_and_skipped(predict, trained, photos, capsys):
    folder, _ = photos
    (folder / '1.png').write_bytes((folder / '1.png').read_bytes()[:60])
    (folder / 'deep').mkdir()
    (folder / 'deep/x.JPG').write_text('text')
    (folder / 'notes.txt').touch()
    work_dir = trained(config(train=[{'type': 'RandomCrop', 'crop_size': 16}]))
    report = as_json(predict, work_dir, folder, folder / 'absent.png', '--batch-size', '2')
    assert [Path(i['image']).name for i in report['images']] == [
        '0.png',
        *(f'{i}.png' for i in range(2, 6)),
    ]
    reasons = {Path(bad['image']).name: bad['reason'] for bad in report['unreadable']}
    assert reasons.keys() == {'1.png', 'x.JPG', 'absent.png'}
    assert 'No such file' in reasons['absent.png']
    told = capsys.readouterr().err
    assert f'skipped, unreadable: {folder}/deep/x.JPG: not an image' in told
    assert '5 images classified, 3 skipped' in told
    assert predict.main([str(work_dir), str(folder / 'notes.txt')]) == 1


def test_csv_and_table(predict, trained, photos, capsys, tmp_path):
    work_dir = trained(config(train=[{'type': 'RandomCrop', 'crop_size': 16}]))
    folder, _ = photos
    expected = as_json(predict, work_dir, folder, '--top-k', '2')['images']
    (folder / '00.png').write_text('text')
    predict.main([str(work_dir), str(folder), '--top-k', '2', '--out', str(tmp_path / 'x.csv')])
    with (tmp_path / 'x.csv').open(newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['image', 'class', 'probability', 'class_2', 'probability_2', 'problem']
    broken = rows.pop(2)  # a line of its own, so that no image is lost from a list
    assert broken[:5] == [str(folder / '00.png'), '', '', '', '']
    assert 'not an image' in broken[5]
    (folder / '00.png').unlink()
    assert [row[0] for row in rows[1:]] == [str(folder / f'{i}.png') for i in range(6)]
    assert rows[1][5] == ''
    assert rows[1][1] == expected[0]['predictions'][0]['class']
    assert float(rows[1][4]) == expected[0]['predictions'][1]['probability']
    capsys.readouterr()
    predict.main([str(work_dir), str(folder), '--top-k', '1'])
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 6
    assert table[0].startswith(f'{folder}/0.png\t{rows[1][1]} ')


CROP = [{'type': 'RandomCrop', 'crop_size': 16}]


def test_output_folder_is_made_or_refused_before_any_work(predict, trained, photos, tmp_path):
    folder, _ = photos
    work_dir = trained(config(train=CROP))
    out = tmp_path / 'new/deep/x.csv'
    assert predict.main([str(work_dir), str(folder), '--out', str(out)]) == 0
    assert len(out.read_text().splitlines()) == 7
    (work_dir / 'epoch_1.pth').unlink()  # no work is possible
    (tmp_path / 'file').touch()
    (tmp_path / 'dir.csv').mkdir()
    for bad in (tmp_path / 'file/x.csv', tmp_path / 'dir.csv'):
        with pytest.raises(SystemExit, match=r'--out .*\.csv cannot be written: '):
            predict.main([str(work_dir), str(folder), '--out', str(bad)])


@pytest.mark.parametrize('suffix', ['csv', 'json'])
def test_answers_are_written_as_they_come(predict, trained, photos, tmp_path, monkeypatch, suffix):
    folder, _ = photos
    (folder / '1.png').write_text('text')
    out = tmp_path / f'x.{suffix}'
    answers = Classifier.stream
    seen = []

    def failing(*args, **kwargs):
        for number, item in enumerate(answers(*args, **kwargs)):
            if number == 4:
                raise FloatingPointError('diverged')
            yield item
            seen.append(out.read_text().count('.png'))

    monkeypatch.setattr(Classifier, 'stream', failing)
    with pytest.raises(SystemExit, match=r'diverged; what was done by then is in .*/x\.'):
        predict.main([str(trained(config(train=CROP))), str(folder), '--out', str(out)])
    assert seen == ([1, 1, 2, 3] if suffix == 'json' else [1, 2, 3, 4])
    if suffix == 'json':
        report = json.loads(out.read_text())
        assert [Path(i['image']).name for i in report['images']] == ['0.png', '2.png', '3.png']
        assert report['interrupted']
        assert len(report['unreadable']) == 1


def test_only_the_best_classes_are_kept(predict, trained, photos):
    classifier, _ = predict_command.load_model(
        predict.parse_args([str(trained(config(train=CROP))), str(photos[0])])
    )
    images, _ = predict_command.gather_images([photos[0]])
    every = list(classifier.stream(images))
    best = list(classifier.stream(images, top_k=2))
    assert [len(answer.classes) for answer in best] == [2] * 6
    assert best == [Prediction(answer.image, answer.classes[:2]) for answer in every]


def test_what_is_left_out_and_what_is_shown_otherwise_is_said(predict, trained, photos, capsys):
    folder, _ = photos
    for name in ('IMG_1.HEIC', 'b.gif', 'c.jfif', '@eaDir/0.png/thumb.jpg', 'Thumbs.db'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'x')
    Image.new('RGBA', (16, 16), (9, 9, 9, 99)).save(folder / '3.png')
    report = as_json(predict, trained(config(train=CROP)), folder)
    assert len(report['images']) == 6
    told = capsys.readouterr().err
    assert f'skipped in {folder}: ' in told
    for kind in ('1 .heic', '1 .gif', '1 .jfif', '1 @eaDir/', '1 Thumbs.db'):
        assert kind in told
    assert f'1 image(s) with transparent parts: shown on white ({folder}/3.png)' in told


def test_folder_without_images(predict, trained, tmp_path, capsys):
    (tmp_path / 'phone').mkdir()
    (tmp_path / 'phone/1.heic').touch()
    with pytest.raises(SystemExit, match=r'no image in .*/phone: images end in \.jpg, '):
        predict.main([str(trained(config(train=CROP))), str(tmp_path / 'phone')])
    assert '1 .heic; .heic are not read: save' in capsys.readouterr().err


NAMES = (b'caf\xe9.png', b'a, "b"\n.png', b'\x1b[2J.png', '猫 ☃.png'.encode())


def test_every_file_name_is_written(predict, trained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'odd'
    folder.mkdir()
    for name in NAMES:
        Image.new('RGB', (16, 16)).save(tmp_path / 'x.png')
        (tmp_path / 'x.png').rename(folder / os.fsdecode(name))
    work_dir = trained(config(train=CROP), classes=('=1+1', '<b>', 'Ä'))
    report = as_json(predict, work_dir, folder)
    (tmp_path / 'out.json').read_bytes().decode()  # UTF-8
    found = {os.fsencode(Path(i['image']).name) for i in report['images']}
    assert found == set(NAMES)
    predict.main([str(work_dir), str(folder), '--out', str(tmp_path / 'x.csv')])
    with (tmp_path / 'x.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows[1:]} == {
        f'{folder}/{name.decode(errors="surrogateescape")}'.replace('\udce9', r'\udce9')
        for name in NAMES
    }
    assert all(set(row[1:-1:2]) == {"'=1+1", '<b>', 'Ä'} for row in rows[1:])
    raw = io.BytesIO()
    monkeypatch.setattr('sys.stdout', io.TextIOWrapper(raw, encoding='ascii'))
    assert predict.main([str(work_dir), str(folder)]) == 0
    lines = raw.getvalue().decode('ascii').splitlines()
    assert len(lines) == 4
    assert not any('\x1b' in line for line in lines)
    assert any(r'/\u732b \u2603.png' in line for line in lines)


def test_paths_that_a_spreadsheet_would_run(predict, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (16, 16)).save('=1+1.png')
    work_dir = trained(config(train=CROP))
    predict.main([str(work_dir), '=1+1.png', '--out', 'x.csv'])
    row = (tmp_path / 'x.csv').read_text().splitlines()[1]
    assert row.startswith('./=1+1.png,')


def test_best_checkpoint_else_newest_whole_one(predict, trained, photos, capsys):
    folder, _ = photos
    cfg = config(train=[{'type': 'RandomCrop', 'crop_size': 16}])
    work_dir = trained(cfg)
    trained(cfg, 'epoch_2.pth')
    (work_dir / 'epoch_3.pth').write_bytes((work_dir / 'epoch_2.pth').read_bytes()[:-100])
    for i in (1, 2):
        os.utime(work_dir / f'epoch_{i}.pth', (i, i))
    assert as_json(predict, work_dir, folder)['checkpoint'] == str(work_dir / 'epoch_2.pth')
    best = trained(cfg, 'best_accuracy_top1_epoch_1.pth') / 'best_accuracy_top1_epoch_1.pth'
    assert as_json(predict, work_dir, folder)['checkpoint'] == str(best)
    assert f'checkpoint {best}' in capsys.readouterr().err
    named = as_json(predict, work_dir, folder, '--checkpoint', work_dir / 'epoch_1.pth')
    assert named['checkpoint'] == str(work_dir / 'epoch_1.pth')


@pytest.mark.parametrize(
    ('classes', 'dataset', 'first'),
    [
        (CLASSES, {}, 'blue'),
        (None, {'metainfo': {'classes': ('a', 'b', 'c')}}, 'a'),
        (None, {}, '0'),  # CIFAR10's ten names are not those of three classes
    ],
)
def test_where_names_come_from(predict, trained, photos, classes, dataset, first):
    train = [{'type': 'RandomCrop', 'crop_size': 16}]
    work_dir = trained(config(train=train, **dataset), classes=classes)
    report = as_json(predict, work_dir, photos[0] / '0.png')
    names = {p['class'] for p in report['images'][0]['predictions']}
    assert min(names) == first


def test_checkpoint_of_another_model(predict, trained, photos):
    work_dir = trained(config(train=[{'type': 'RandomCrop', 'crop_size': 16}]))
    state = torch.load(work_dir / 'epoch_1.pth')
    del state['state_dict']['head.layers.head.weight']
    torch.save(state, work_dir / 'epoch_1.pth')
    with pytest.raises(
        SystemExit, match=r'epoch_1.pth, with .*recipe.py, does not fit this .*head.weight'
    ):
        predict.main([str(work_dir), str(photos[0])])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ['nowhere', 'x.png'],
            'there is no nowhere: give the work dir of a training run, or a checkpoint',
        ),
        (['.', 'x.png', '--out', 'x.txt'], 'end in .csv, .json or .jsonl, got x.txt'),
        (['.', 'x.png', '--top-k', '0'], '1 or more'),
    ],
)
def test_refused_arguments(predict, arguments, message, capsys):
    with pytest.raises(SystemExit):
        predict.main(arguments)
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_ends_in_words(predict, trained, photos):
    work_dir = trained(config(train=CROP))
    broken = work_dir / 'broken.pth'
    broken.write_bytes((work_dir / 'epoch_1.pth').read_bytes()[:-100])
    for file in (broken, photos[0] / '1.png'):
        with pytest.raises(SystemExit, match=re.escape(file.name)):
            predict.main([str(file), '--config', str(work_dir / 'recipe.py'), str(photos[0])])
    torch.save({'state_dict': {}, 'run': predict_command.Counter}, broken)
    with pytest.raises(SystemExit, match=r'broken\.pth') as ended:
        predict.main([str(broken), '--config', str(work_dir / 'recipe.py'), str(photos[0])])
    assert isinstance(ended.value.code, str)


def test_empty_work_dir(predict, tmp_path, photos):
    with pytest.raises(SystemExit, match=str(tmp_path)):
        predict.main([str(tmp_path), str(photos[0])])


def test_json_lines(predict, trained, photos, tmp_path):
    folder, _ = photos
    (folder / '1.png').write_text('text')
    out = tmp_path / 'x.jsonl'
    work_dir = trained(config(train=CROP))
    predict.main([str(work_dir), str(folder), '--top-k', '2', '--out', str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [Path(line['image']).name for line in lines] == [f'{i}.png' for i in range(6)]
    assert lines[1]['reason'].startswith('not an image')
    report = as_json(predict, work_dir, folder, '--top-k', '2')
    assert [line for line in lines if 'predictions' in line] == report['images']


def test_a_checkpoint_in_place_of_its_work_dir(predict, trained, photos):
    work_dir = trained(config(train=CROP))
    trained(config(train=CROP), 'epoch_2.pth')
    first = as_json(
        predict, work_dir / 'epoch_1.pth', '--config', work_dir / 'recipe.py', photos[0]
    )
    assert first['checkpoint'] == str(work_dir / 'epoch_1.pth')
    out = ['--out', str(work_dir.parent / 'out.json')]
    (work_dir / 'recipe.py').rename(work_dir.parent / 'moved.py')
    with pytest.raises(SystemExit, match='holds 0 configs'):
        predict.main([str(work_dir / 'epoch_1.pth'), str(photos[0]), *out])


def test_globs_and_file_addresses(predict, trained, photos, capsys):
    folder, _ = photos
    (folder / 'deep').mkdir()
    (folder / '5.png').rename(folder / 'deep/5.png')
    (folder / 'notes.txt').touch()
    work_dir = trained(config(train=CROP))
    names = [
        [Path(i['image']).name for i in as_json(predict, work_dir, pattern)['images']]
        for pattern in (f'{folder}/[12].png', f'{folder}/**/*', f'{folder}/*', folder.as_uri())
    ]
    everything = [f'{i}.png' for i in range(6)]
    assert names == [['1.png', '2.png'], everything, everything, everything]
    assert f'skipped of {folder}/*: 1 file(s) that are no images' in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r'no image in .*/x\*\.png'):
        predict.main([str(work_dir), f'{folder}/x*.png'])
    assert f'no image matches {folder}/x*.png' in capsys.readouterr().err
    (folder / '1.png').rename(folder / 'a[1].png')  # a file of that name comes first
    assert len(as_json(predict, work_dir, folder / 'a[1].png')['images']) == 1


def test_names_from_standard_input(predict, trained, photos, tmp_path, monkeypatch, capsys):
    folder, _ = photos
    (folder / '4.png').rename(folder / os.fsdecode(b'\xe9.png'))
    names = [b'0.png', b'', b'absent.png', b'\xe9.png']
    raw = b'\xef\xbb\xbf'  # lists from Windows begin with this mark
    raw += b'\n'.join(bytes(folder) + b'/' + name if name else b'' for name in names)
    monkeypatch.setattr('sys.stdin', io.TextIOWrapper(io.BytesIO(raw), encoding='utf-8'))
    work_dir = trained(config(train=CROP))
    report = as_json(predict, work_dir, folder / '3.png', '-', folder / '2.png')
    found = [os.fsencode(Path(i['image']).name) for i in report['images']]
    assert found == [b'3.png', b'0.png', b'\xe9.png', b'2.png']
    assert [Path(bad['image']).name for bad in report['unreadable']] == ['absent.png']
    monkeypatch.setattr('sys.stdin', io.StringIO(''))
    assert predict.main([str(work_dir), '-']) == 1
    assert '0 images classified, 0 skipped' in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_on_photos_is_used_on_another_machine(train_tool, predict, tmp_path):
    """Train with --data-root, remove the data, move the work dir, predict."""
    colours = {'blue': (30, 60, 220), 'green': (60, 220, 30), 'red': (220, 30, 60)}
    for name, colour in colours.items():
        for i in range(16):
            (tmp_path / 'data' / name).mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (40 + i, 30), colour).save(tmp_path / 'data' / name / f'{i}.jpg')
    options = [
        *('train_cfg.max_epochs=6', 'train_dataloader.batch_size=8', 'param_scheduler=None'),
        *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
    ]
    recipe = str(ROOT / 'configs/convit_drloc_folder.py')
    arguments = ['--data-root', str(tmp_path / 'data'), '--work-dir', str(tmp_path / 'work')]
    train_tool.main([recipe, *arguments, '--cfg-options', *options])
    (tmp_path / 'data').rename(tmp_path / 'photos')
    (tmp_path / 'work').rename(tmp_path / 'moved')
    report = as_json(predict, tmp_path / 'moved', tmp_path / 'photos')
    hits = [i['predictions'][0]['class'] == Path(i['image']).parent.name for i in report['images']]
    assert len(hits) == 48
    assert np.mean(hits) > 0.9
