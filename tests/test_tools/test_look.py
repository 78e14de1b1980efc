"""The look and prune tools: files, output and errors; hooks after a resume."""

import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from vit_plugins.command_line.commands import look as command
from vit_plugins.inference.inside.shown_photo import UnreadablePhotoError, prepare_photos
from vit_plugins.visualization.measured_history import read_histories

CONVIT = """
from copy import deepcopy
model['backbone'] = dict(
    type='ConViT', img_size=16, patch_size=4, num_local_layers=1, out_type='raw',
    arch=dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16))
model['head'] = dict(
    type='DRLocHead', in_channels=16, patch_size=4, hidden_dims=(8, 8),
    head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16))
custom_hooks = [
    dict(type='GateHook'), dict(type='LocalityHook', num_images=2),
    dict(type='OffsetErrorHook', num_images=2)]
"""


def test_queries_and_classes_are_read(look_tool, capsys):
    args = look_tool.parse_args(['x', 'a.jpg', '--what', 'attention', 'cam', '--query', '3,5'])
    assert (args.query, args.what, args.images) == ((3, 5), ['attention', 'cam'], ['a.jpg'])
    assert look_tool.parse_args(['x', '--query', 'class']).query == 'class'
    for wrong in (['x', '--query', 'left'], ['x', '--what', 'dreams'], ['x', '--number', '0']):
        with pytest.raises(SystemExit):
            look_tool.parse_args(wrong)
    told = capsys.readouterr().err
    assert "invalid query value: 'left'" in told
    assert "invalid choice: 'dreams'" in told
    assert '--number must be 1 or more, got 0' in told
    assert command.read_target('cat', ('dog', 'cat')) == 1
    assert command.read_target('2', ('dog', 'cat')) == 2
    with pytest.raises(ValueError, match='--class bird: the classes are dog, cat'):
        command.read_target('bird', ('dog', 'cat'))


def test_every_kind_of_the_help_is_drawn(look_tool):
    assert set(command.ALL) == set(look_tool.WHAT)
    assert all(f'\n{what} ' in look_tool.__doc__ for what in look_tool.WHAT)


def test_weights_and_the_folder_of_pictures_are_found(look_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / 'tiny.py'
    config.touch()
    # which models of the index have published weights takes seconds to find out
    monkeypatch.setattr(command, 'find_model', Mock(side_effect=ValueError('no weights')))
    for model, out in (
        (str(config), 'look/tiny'),
        ('convit-small_8xb128_in1k', 'look/convit-small_8xb128_in1k'),
    ):
        path, checkpoint, found = command.find_weights(look_tool.parse_args([model]))
        assert (path.suffix, checkpoint, str(found)) == ('.py', None, out)
    with pytest.raises(ValueError, match='no config or model is called nothing'):
        command.find_weights(look_tool.parse_args(['nothing']))


def test_a_config_alone_is_looked_at_with_the_weights_its_training_starts_from(
    look_tool, job, tmp_path, capsys
):
    config = str(job('inside', CONVIT))
    out = tmp_path / 'out'
    assert look_tool.main([config, '--what', 'gates', 'positions', '--out', str(out)]) == 0
    told = capsys.readouterr()
    assert 'mean gate of each layer, 1 is position alone: 0.73' in told.out
    assert 'checkpoint none: the weights that its training starts from' in told.err
    assert Image.open(out / 'gates.png').size[0] > 100
    gates = np.load(out / 'gates.npz')['gates']
    np.testing.assert_allclose(gates, 0.7310586, rtol=1e-6)
    with pytest.raises(SystemExit, match='has no history: GateHook'):
        look_tool.main([config, '--what', 'history', '--out', str(out)])


def test_a_photo_that_is_not_there_is_no_success():
    """All kinds are drawn by default, and those without photos were drawn all the same."""
    photos = (photo for _ in 'x' for photo in prepare_photos(None, ['x.jpg']))  # when it is asked
    with pytest.raises(UnreadablePhotoError, match=r'^x.jpg cannot be read: No such file'):
        command.write_all('cam', iter(photos), Path(), named=False)


def test_a_model_without_what_is_asked_for_is_refused_by_name(look_tool, job, tmp_path):
    config = str(job())  # a plain ViT
    with pytest.raises(SystemExit, match='VisionTransformer has no gates: ConViT has'):
        look_tool.main([config, '--what', 'gates', '--out', str(tmp_path)])


@pytest.mark.slow
def test_a_training_is_measured_resumed_looked_at_and_pruned(
    train_tool, look_tool, prune_tool, job, tmp_path, capsys
):
    work, vit = tmp_path / 'convit', tmp_path / 'vit'
    config = str(job('measured', CONVIT))
    epochs = ['--cfg-options', 'train_cfg.max_epochs=2']
    train_tool.main([config, '--work-dir', str(work), *epochs])
    train_tool.main([config, '--work-dir', str(work), '--resume'])
    histories = read_histories(work)
    assert set(histories) == {'gates', 'nonlocality_propagated', 'offset_error'}
    assert all(history.steps == [0, 1, 2, 3] for history in histories.values())
    measured = "custom_hooks = [dict(type='LocalityHook', num_images=2)]"
    train_tool.main([str(job('vit', measured)), '--work-dir', str(vit)])

    capsys.readouterr()
    assert look_tool.main([str(work), '--beside', str(vit), '--number', '6']) == 0
    told = capsys.readouterr()
    written = {path.name for path in (work / 'look').glob('*.png')}
    kinds = {'gates', 'nonlocality', 'offsets', 'positions', 'filters', 'embedding'}
    assert {f'{kind}.png' for kind in kinds} <= written
    assert {f'history_{name}.png' for name in histories} <= written
    for kind in ('attention', 'rollout'):
        assert sum(name.startswith(kind) for name in written) == 6
    assert {path.stem for path in (work / 'look').glob('*.npz')} == {n[:-4] for n in written}
    assert told.out.count('.png, .npz: ') == len(written)
    best = int(next(work.glob('best_*.pth')).stem.rsplit('_', 1)[1])  # the epoch that is shown
    point = json.loads((work / 'gates.json').read_text())['points'][best]
    seen = np.load(work / 'look/gates.npz')['gates']
    np.testing.assert_allclose(seen, point['gates'], rtol=1e-5)

    assert look_tool.main([str(vit), '--number', '5']) == 0
    assert 'gates left out: VisionTransformer has no gates' in capsys.readouterr().err
    assert prune_tool.main([str(work), '--threshold', '0.4']) == 0
    told = capsys.readouterr().out
    assert 'layers.0.attn        0     0         4' in told  # gates of 0.73 are closed at 0.6
    assert 'accuracy/top1: ' in told
    assert 'times as fast' in told
    with pytest.raises(SystemExit, match='VisionTransformer has no gates'):
        prune_tool.main([str(vit)])


def test_thresholds_and_folders_of_pruning_are_checked(prune_tool, tmp_path, capsys):
    for wrong, words in (
        ([str(tmp_path), '--threshold', '0.5'], 'at least 0 and below 0.5, got 0.5'),
        ([str(tmp_path / 'none')], 'is not a folder: give the work dir'),
    ):
        with pytest.raises(SystemExit):
            prune_tool.parse_args(wrong)
        assert words in capsys.readouterr().err
