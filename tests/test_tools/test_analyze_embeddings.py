"""The analyze tool: its numbers equal those of the test tool; its files and messages."""

import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from PIL import Image

ROOT = Path(__file__).parents[2]
RECIPE = f"""
_base_ = [
    '{ROOT}/configs/_base_/datasets/rotated_digits.py', '{ROOT}/configs/_base_/default_runtime.py']
experiment_name = __import__('uuid').uuid4().hex  # runs of the same second share nothing
model = dict(
    type='EmbeddingRetriever',
    backbone=dict(
        type='VisionTransformer', img_size=16, patch_size=8,
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32)),
    neck=dict(type='TokenPooling'))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-4))
val_cfg = test_cfg = dict()
randomness = dict(seed=7)
"""
BASELINE = "custom_hooks = [dict(type='RetrievalBaselineHook')]"
PCA = """
model['pca'] = dict(type='PCAProjection', in_dims=32, out_dims=4)
custom_hooks = [dict(type='FitPCAHook')]
"""
CLASSIFIER = """
model.update(
    type='ImageClassifier', neck=None,
    head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=32))
"""
FOLDER = """
train_dataloader = val_dataloader = None
test_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _delete_=True, type='RetrievalFolder', data_root='/gone', split='test',
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=16), dict(type='PackInputs')
        ]))
"""


@pytest.fixture
def recipe(tmp_path):
    """Write a config of a tiny model, with the given text at its end."""

    def write(name='recipe', added=''):
        path = tmp_path / f'{name}.py'
        path.write_text(RECIPE + added)
        return path

    return write


def save_weights(config, path):
    model = MODELS.build(Config.fromfile(config).model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return path


def numbers(metrics, prefix):
    """Return the scores of one type of features, under the names of the tool."""
    names = [f'Recall@{k}' for k in (1, 2, 4, 8)] + ['MAP@R']
    return {name: metrics[f'{prefix}/{name}'] for name in names}


@pytest.mark.slow
def test_scores_are_those_of_the_test_tool(recipe, analyze_tool, test_tool, tmp_path, capsys):
    plain, projected = recipe('plain', BASELINE), recipe('projected', PCA)
    weights = save_weights(plain, tmp_path / 'weights.pth')
    tested = [
        test_tool.main([str(config), str(weights), '--work-dir', str(tmp_path / config.stem)])
        for config in (plain, projected)
    ]
    work_dir, out = tmp_path / 'work', tmp_path / 'deep' / 'out'
    work_dir.mkdir()
    plain.rename(work_dir / 'plain.py')
    weights.rename(work_dir / 'epoch_1.pth')
    capsys.readouterr()
    models = [f'untrained={work_dir}/plain.py', f'trained={work_dir}']
    reports = analyze_tool.main([*models, '--pca', '4', '8', '--out', str(out)])
    assert reports['trained'].scores[0] == pytest.approx(numbers(tested[0], 'retrieval'))
    assert reports['untrained'].scores[0] == pytest.approx(numbers(tested[0], 'untrained'))
    assert reports['trained'].scores[0] != reports['untrained'].scores[0]
    # the hook projects in float32, the tool in float64
    assert reports['trained'].scores[4] == pytest.approx(numbers(tested[1], 'retrieval'), abs=0.2)

    assert {path.name for path in out.iterdir()} == {
        *('table.md', 'statistics.json'),
        *('energy.png', 'similarities.png'),
    }
    printed = capsys.readouterr().out
    assert (out / 'table.md').read_text() == printed
    assert f'| trained | PCA 8 | {reports["trained"].scores[8]["Recall@1"]:.2f} |' in printed
    assert len(printed.splitlines()) == 2 + 2 * 3
    found = json.loads((out / 'statistics.json').read_text())
    assert list(found) == ['untrained', 'trained']
    for name, report in reports.items():
        assert found[name]['scores']['all'] == report.scores[0]
        assert found[name]['scores']['4'] == report.scores[4]
        assert found[name]['effective_rank'] == report.effective_rank
        assert found[name]['energy'][-1] == pytest.approx(1)
        shown = found[name]['similarities']
        assert sum(shown['positives']) + sum(shown['negatives']) == 575 * 574
    for name in ('energy', 'similarities'):
        with Image.open(out / f'{name}.png') as picture:
            assert min(picture.size) > 100


def test_a_config_with_a_checkpoint_and_another_split(recipe, analyze_tool, tmp_path):
    config = recipe(added="train_dataloader = dict(dataset=dict(split='val'))")  # 141 images
    weights = save_weights(config, tmp_path / 'weights.pth')
    arguments = [f'a={config},{weights}', '--split', 'train', '--topk', '3', '--device', 'cpu']
    report = analyze_tool.main([*arguments, '--out', str(tmp_path / 'out')])['a']
    assert list(report.scores[0]) == ['Recall@3', 'MAP@R']
    pairs = report.similarities.positives.sum() + report.similarities.negatives.sum()
    assert pairs == 141 * 140


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.py'], 'each model must be NAME=WHERE, with different names, got a.py'),
        (['a='], 'each model must be NAME=WHERE'),
        (['a=x.py', 'a=y.py'], 'with different names, got a=x.py a=y.py'),
        (['a=x.py', '--pca', '0'], '--topk and --pca must be 1 or more'),
        (['a=x.py', '--topk', '-1'], '--topk and --pca must be 1 or more'),
    ],
)
def test_arguments_that_say_nothing(analyze_tool, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        analyze_tool.main([*arguments, '--out', str(tmp_path)])
    assert message in capsys.readouterr().err


def test_models_that_cannot_be_analyzed_end_with_a_message(recipe, analyze_tool, tmp_path):
    config = recipe()
    (tmp_path / 'empty').mkdir()
    save_weights(config, tmp_path / 'weights.pth')
    classifier = recipe('classifier', CLASSIFIER)
    other = save_weights(classifier, tmp_path / 'other.pth')
    state = torch.load(other)
    del state['state_dict']['backbone.ln1.weight']
    torch.save(state, other)
    folder = recipe('folder', FOLDER)
    gone = str(tmp_path / 'gone.pth')
    cases = [
        ([tmp_path / 'gone.py'], 'gone.py'),
        ([tmp_path / 'empty'], 'empty holds 0 configs'),
        ([f'{config},{gone}'], f'{gone} is neither a file nor a model of the index'),
        ([f'{config},{other}'], 'other.pth, with .*recipe.py, does not fit'),
        ([classifier], 'a ImageClassifier gives no descriptors'),
        ([config, '--pca', '33'], 'have no 33 components'),
        ([folder], '/gone'),
        ([folder, '--data-root', tmp_path / 'empty'], 'empty'),
    ]
    for (where, *more), message in cases:
        arguments = [f'm={where}', *map(str, more), '--out', str(tmp_path / 'out')]
        with pytest.raises(SystemExit, match=f'^m: (?s:.*){message}'):
            analyze_tool.main(arguments)
    assert not list((tmp_path / 'out').iterdir())


def test_a_folder_of_images_and_no_training_data_for_pca(recipe, analyze_tool, tmp_path):
    for i in range(8):
        path = tmp_path / 'photos' / 'abcd'[i // 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (20, 20), (10 * i, 100, 200 - 20 * i)).save(path)
    arguments = [f'm={recipe("folder", FOLDER)}', '--out', str(tmp_path / 'out')]
    arguments += ['--data-root', str(tmp_path / 'photos')]
    report = analyze_tool.main(arguments)['m']
    assert report.similarities.positives.sum() == 4  # both ends of the pairs of two classes
    message = 'm: the config has no train_dataloader to encode images of: choose another split'
    with pytest.raises(SystemExit, match=re.escape(message)):
        analyze_tool.main([*arguments, '--pca', '2'])


def test_out_is_made_before_any_work(analyze_tool, tmp_path):
    (tmp_path / 'out').touch()
    with pytest.raises(FileExistsError):
        analyze_tool.main(['m=none.py', '--out', str(tmp_path / 'out')])
