"""The hooks that measure: correct points, kept after a resume, in all backends and files."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import IterBasedTrainLoop
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample

from vit_plugins.engine.hooks import GateHook, LocalityHook, OffsetErrorHook
from vit_plugins.evaluation.functional.offset_errors import offset_errors
from vit_plugins.models.inspection.attention_maps import NothingToReadError
from vit_plugins.models.inspection.locality import measure_locality
from vit_plugins.models.inspection.offsets import predict_offsets
from vit_plugins.visualization.measured_history import plot_history, read_histories

ARCH = dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16)


class Images(torch.utils.data.Dataset):
    """Random images of 16 px."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, 16, 16, generator=generator)
        return dict(inputs=image, data_samples=DataSample(metainfo=dict(img_shape=(16, 16))))


@pytest.fixture
def model():
    return MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='ConViT', arch=ARCH, num_local_layers=1, img_size=16, patch_size=4,
                      out_type='raw'),
        head=dict(type='DRLocHead', in_channels=16, patch_size=4, hidden_dims=(8, 8),
                  head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16)),
    ))  # fmt: skip


@pytest.fixture
def runner(tmp_path, model):
    loader = SimpleNamespace(dataset=Images())
    return SimpleNamespace(
        model=model, message_hub=MessageHub(f'measured {tmp_path}'), visualizer=Mock(),
        work_dir=str(tmp_path), epoch=0, iter=0, max_epochs=5, max_iters=20,
        train_loop=Mock(), val_loop=SimpleNamespace(dataloader=loader),
    )  # fmt: skip


def train(hook, runner, epochs):
    """Train some epochs; each opens the first gate of each layer a little."""
    hook.before_train(runner)
    for _ in range(epochs):
        for module in runner.model.modules():
            if hasattr(module, 'gating_param'):
                module.gating_param.data[0] += 1
        hook.after_train_epoch(runner)
        runner.epoch += 1
        runner.iter += 4


def test_gates_are_measured_at_the_start_every_few_epochs_and_in_the_end(runner, tmp_path):
    hook = HOOKS.build(dict(type='GateHook', interval=2))
    train(hook, runner, 5)
    hook.after_train(runner)
    history = read_histories(tmp_path)['gates']
    assert (history.counted, history.steps) == ('epoch', [0, 2, 4, 5])
    first_heads = np.array(history.values('gates'))[:, 0, 0]
    expected = torch.tensor([1.0, 3, 5, 6]).sigmoid()
    np.testing.assert_allclose(first_heads, expected, rtol=1e-6)
    assert history.values('strengths')[0] == [[1.0] * 4]
    assert history.values('centres')[0] == [[[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]]
    assert (tmp_path / 'gates.png').read_bytes().startswith(b'\x89PNG')
    sent = runner.visualizer.add_scalars.call_args_list
    assert [call.kwargs['step'] for call in sent] == [0, 2, 4, 5]
    assert sent[1].args[0]['gate/layers.0.attn/head1'] == pytest.approx(expected[1].item())
    assert sent[0].args[0]['gate/layers.0.attn/mean'] == pytest.approx(0.7310586)


def test_a_resumed_history_goes_on_without_what_a_crash_took_back(runner, tmp_path):
    train(GateHook(), runner, 2)
    state = runner.message_hub.state_dict()  # what a checkpoint holds
    train(GateHook(), runner, 1)  # taken back by a crash
    resumed = MessageHub(f'resumed {tmp_path}')
    resumed.load_state_dict(state)
    runner.message_hub, runner.epoch, runner.iter = resumed, 2, 8
    train(GateHook(), runner, 2)
    assert read_histories(tmp_path)['gates'].steps == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('mode', ['propagated', 'official'])
def test_locality_is_that_of_the_same_images_each_time(runner, model, tmp_path, mode):
    hook = LocalityHook(mode, num_images=3)
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    train(hook, runner, 1)
    hook.after_train(runner)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    (name,) = read_histories(tmp_path)  # histories of two modes are two
    assert name == f'nonlocality_{mode}'
    history = read_histories(tmp_path)[name]
    images = torch.stack([Images()[index]['inputs'] for index in (0, 4, 9)])
    expected = measure_locality(model, images, mode)
    for found, heads in zip(history.values('nonlocality')[1], expected.nonlocality, strict=True):
        np.testing.assert_allclose(found, heads, rtol=1e-5)
    assert (tmp_path / f'{name}.png').is_file()
    figure = plot_history(name, {'a': history, 'b': history})
    assert [axes.get_title() for axes in figure.axes] == ['a', 'b']
    assert figure.get_suptitle().startswith(mode)


def test_offset_errors_are_those_of_the_same_pairs_each_time(runner, model, tmp_path):
    hook = OffsetErrorHook(num_images=2, num_pairs=5)
    train(hook, runner, 1)
    history = read_histories(tmp_path)['offset_error']
    images = torch.stack([Images()[index]['inputs'] for index in (0, 9)])
    samples = [Images()[index]['data_samples'] for index in (0, 9)]
    found = predict_offsets(model, images, samples, 5)
    rows, columns = offset_errors(found.predicted, found.true).tolist()
    assert history.points[1] == dict(step=1, rows=rows, columns=columns)
    assert runner.visualizer.add_scalars.call_args.args[0]['offset_error/rows'] == rows


def test_iterations_are_counted_where_there_are_no_epochs(runner, tmp_path):
    runner.train_loop = Mock(spec=IterBasedTrainLoop)
    with pytest.raises(ValueError, match=r'GateHook counts epochs.*set by_epoch=False'):
        GateHook().before_train(runner)
    hook = GateHook(interval=8, by_epoch=False)
    hook.before_train(runner)
    while runner.iter < runner.max_iters:
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
    written = json.loads((tmp_path / 'gates.json').read_text())
    assert written['counted'] == 'iteration'
    assert [point['step'] for point in written['points']] == [0, 8, 16, 20]


def test_what_cannot_be_measured_is_told_before_training(runner):
    with pytest.raises(ValueError, match='interval must be 1 or more, got 0'):
        GateHook(interval=0)
    with pytest.raises(ValueError, match="mode must be one of propagated, official, got 'x'"):
        LocalityHook('x')
    with pytest.raises(ValueError, match='num_images must be 1 or more, got 0'):
        LocalityHook(num_images=0)
    with pytest.raises(ValueError, match='num_pairs must be 1 or more, got 0'):
        OffsetErrorHook(num_pairs=0)
    runner.val_loop = None
    with pytest.raises(ValueError, match='set val_dataloader, val_cfg and val_evaluator'):
        LocalityHook().before_train(runner)
    runner.model = MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=32),
    ))  # fmt: skip
    for hook in (GateHook(), OffsetErrorHook()):
        runner.val_loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=Images()))
        with pytest.raises(NothingToReadError, match=r'ConViT has|DRLocHead'):
            hook.before_train(runner)


def test_settings_are_shown():
    assert repr(GateHook(3)) == 'GateHook(interval=3, by_epoch=True)'
