"""The schedule's numbers, and the hook in runs: single, resumed, and on two ranks."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from ranks import run_on_ranks

from vit_plugins.engine.hooks.loss_weight_hook import scheduled_weight

HEAD = dict(
    type='DRLocHead',
    in_channels=32,
    num_pairs=4,
    hidden_dims=(8,),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=32),
)
MODEL = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    head=HEAD,
)


class TwoImages(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        sample = DataSample(metainfo=dict(img_shape=(64, 64))).set_gt_label(index)
        return dict(inputs=torch.full((3, 64, 64), float(index)), data_samples=sample)


class Recorder(Hook):
    """Record the weight of each iteration."""

    def __init__(self):
        self.weights = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights.append((runner.epoch, runner.model.head.drloc.loss_weight))
        assert outputs['loss_drloc'] == self.weights[-1][1] * outputs['drloc_raw']


def build_runner(work_dir, hook, recorder, **settings):
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=TwoImages(),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    settings = dict(train_cfg=dict(by_epoch=True, max_epochs=6)) | settings
    return Runner(
        model=MODELS.build(MODEL),
        work_dir=str(work_dir),
        train_dataloader=loader,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2)),
        custom_hooks=[HOOKS.build(hook), recorder],
        default_scope='mmpretrain',
        log_level='WARNING',
        experiment_name=f'{work_dir.name}{id(recorder)}',
        **settings,
    )


@pytest.mark.parametrize(
    ('epoch', 'weight'),
    [(0, 0), (1, 0.025), (10, 0.25), (20, 0.5), (30, 0.4821), (60, 0.4286), (100, 0.3571)],
)
def test_schedule_of_the_released_logs(epoch, weight):
    # Values of the official CIFAR-10 logs: λ = 0.5, W = 20, T = 300.
    assert scheduled_weight(epoch, 0.5) == pytest.approx(weight, abs=5e-5)


@pytest.mark.parametrize(
    ('settings', 'weights'),
    [
        (dict(warmup_epochs=0, total_epochs=None), [1, 1, 1, 1, 1]),
        (dict(warmup_epochs=2, total_epochs=None), [0, 0.5, 1, 1, 1]),
        (dict(warmup_epochs=0, total_epochs=4), [1, 0.75, 0.5, 0.25, 0]),
        (dict(warmup_epochs=1, total_epochs=3), [0, 1, 0.5, 0, 0]),
        (dict(warmup_epochs=3, total_epochs=3), [0, 1 / 3, 2 / 3, 1, 0]),
        (dict(warmup_epochs=8, total_epochs=4), [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8]),  # a short run
    ],
)
def test_schedule_settings(settings, weights):
    assert [scheduled_weight(e, 1.0, **settings) for e in range(5)] == pytest.approx(weights)


def test_a_run_and_its_resumed_half_agree(tmp_path):
    hook = dict(type='LossWeightHook', warmup_epochs=2)
    expected = [(e, scheduled_weight(e, 0.5, 2, 6)) for e in range(6)]
    whole = Recorder()
    build_runner(tmp_path, hook, whole).train()
    assert whole.weights == expected
    logged = MessageHub.get_current_instance().get_scalar('train/drloc_weight')
    assert logged.current() == expected[-1][1]
    resumed = Recorder()
    runner = build_runner(
        tmp_path, hook, resumed, resume=True, load_from=str(tmp_path / 'epoch_4.pth')
    )
    runner.train()
    assert resumed.weights == expected[4:]


@pytest.mark.parametrize(
    ('hook', 'expected'),
    [
        (dict(warmup_epochs=0, decay=False), [0.5, 0.5]),
        (dict(warmup_epochs=0, decay=False, weight=0.1), [0.1, 0.1]),
        (dict(warmup_epochs=1, total_epochs=2), [0.0, 0.5]),
        (dict(), [0.0, 0.025]),
    ],
)
def test_settings_in_a_run(tmp_path, hook, expected):
    recorder = Recorder()
    hook = dict(type='LossWeightHook') | hook
    build_runner(tmp_path, hook, recorder, train_cfg=dict(by_epoch=True, max_epochs=2)).train()
    assert [weight for _, weight in recorder.weights] == expected


def test_sets_every_level():
    levels = dict(feat_index=[0, 1], in_channels=[16, 32])
    backbone = MODEL['backbone'] | dict(out_indices=(2, 3))
    model = MODELS.build(MODEL | dict(backbone=backbone, head=HEAD | levels))
    hook = HOOKS.build(dict(type='LossWeightHook', warmup_epochs=4, decay=False))
    hub = MessageHub.get_instance('levels')
    runner = SimpleNamespace(model=model, train_loop=None, epoch=1, max_epochs=9, message_hub=hub)
    hook.before_train(runner)
    runner.max_epochs, told = 4, []
    runner.logger = SimpleNamespace(warning=told.append)
    hook.before_train(runner)
    assert 'The training (4 epochs) ends within the warm-up' in told[0]
    hook.before_train_epoch(runner)
    assert [drloc.loss_weight for drloc in model.head.drloc] == [0.125, 0.125]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(warmup_epochs=-1), r'warmup_epochs \(-1\) must not be negative'),
        (
            dict(warmup_epochs=20, total_epochs=20),
            r'total_epochs \(20\) must exceed warmup_epochs',
        ),
        (dict(total_epochs=300, decay=False), r'total_epochs \(300\) has no meaning'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        HOOKS.build(dict(type='LossWeightHook', **settings))


def test_refuses_unfit_runs(tmp_path):
    hook = dict(type='LossWeightHook', module='head.cls_head')
    with pytest.raises(AttributeError, match=r"'head\.cls_head' \(LinearClsHead\) has no"):
        build_runner(tmp_path, hook, Recorder()).train()
    with pytest.raises(AttributeError, match='has no attribute `other`'):
        build_runner(tmp_path, hook | dict(module='head.other'), Recorder()).train()
    by_iter = dict(by_epoch=False, max_iters=2)
    with pytest.raises(ValueError, match='counts epochs: set by_epoch=True'):
        build_runner(tmp_path, dict(type='LossWeightHook'), Recorder(), train_cfg=by_iter).train()


def train_rank(rank):
    """Train two steps in epoch 0, where the weight is 0, and in epoch 1, without find_unused."""
    torch.manual_seed(0)
    model = MMDistributedDataParallel(MODELS.build(MODEL))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hook = HOOKS.build(dict(type='LossWeightHook', warmup_epochs=2, decay=False))
    hub = MessageHub.get_instance('ranks')
    runner = SimpleNamespace(model=model, train_loop=None, max_epochs=9, message_hub=hub)
    hook.before_train(runner)
    for epoch in (0, 1):
        runner.epoch = epoch
        hook.before_train_epoch(runner)
        assert model.module.head.drloc.loss_weight == 0.25 * epoch
        before = model.module.head.drloc.trunk[0].weight.clone()
        for _ in range(2):
            images = torch.randn(2, 3, 64, 64) + rank  # each rank its own
            samples = [DataSample().set_gt_label(i) for i in range(2)]
            losses = model(images, samples, mode='loss')
            optimizer.zero_grad()
            model.module.parse_losses(losses)[0].backward()
            optimizer.step()
        moved = not torch.equal(before, model.module.head.drloc.trunk[0].weight)
        assert moved == bool(epoch)
    for parameter in model.parameters():
        other = parameter.detach().clone()
        torch.distributed.broadcast(other, 0)
        assert torch.equal(other, parameter)


@pytest.mark.slow
def test_weight_0_on_two_ranks(tmp_path):
    run_on_ranks(train_rank, tmp_path)
