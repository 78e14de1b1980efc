"""Scores before training: equal to a count by hand, and equal in test and training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from vit_plugins.datasets.rotated_digits import RotatedDigits
from vit_plugins.engine.hooks.retrieval_baseline_hook import untrained_model

PACK = [{'type': 'PackInputs'}]


def loader(split, **kwargs):
    return {
        'batch_size': 40,
        'num_workers': 0,
        'dataset': {'type': 'RotatedDigits', 'split': split, 'pipeline': PACK, **kwargs},
        'sampler': {'type': 'DefaultSampler', 'shuffle': split == 'train'},
        'collate_fn': {'type': 'default_collate'},
    }


def config(work_dir):
    val = loader('val')
    backbone = {
        **{'type': 'VisionTransformer', 'img_size': 8, 'patch_size': 4},
        'arch': {'embed_dims': 16, 'num_layers': 1, 'num_heads': 2, 'feedforward_channels': 16},
    }
    head = {'type': 'ContrastiveRetrievalHead', 'loss': {'type': 'ContrastiveLoss'}}
    model = {
        **{'type': 'EmbeddingRetriever', 'backbone': backbone, 'head': head},
        'neck': {'type': 'TokenPooling', 'mode': 'cls'},
    }
    return Config(
        {
            'default_scope': 'mmpretrain',
            'work_dir': str(work_dir),
            'experiment_name': str(work_dir),
            'model': model,
            'data_preprocessor': {'mean': [127.5] * 3, 'std': [127.5] * 3},
            'train_dataloader': loader('train', indices=80),
            'val_dataloader': val,
            'test_dataloader': val,
            'val_evaluator': {'type': 'RetrievalMetric', 'topk': (1,)},
            'test_evaluator': {'type': 'RetrievalMetric', 'topk': (1,)},
            'train_cfg': {'by_epoch': True, 'max_epochs': 1},
            'val_cfg': {},
            'test_cfg': {},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
            'custom_hooks': [{'type': 'RetrievalBaselineHook'}],
            'randomness': {'seed': 3},
            'log_level': 'WARNING',
        }
    )


class Start(Hook):
    """Keep the weights at the start of the training, and those of the hook."""

    def before_train(self, runner):
        self.weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
        before = torch.get_rng_state()
        self.untrained = untrained_model(runner).state_dict()
        self.stream_kept = torch.equal(before, torch.get_rng_state())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    runner = Runner.from_cfg(config(tmp_path_factory.mktemp('run')))
    start, scalars = Start(), {}
    runner.register_hook(start)
    add_scalars = runner.visualizer.add_scalars
    runner.visualizer.add_scalars = lambda found, **kwargs: (
        scalars.update(found if kwargs.get('step') == 0 else {}),
        add_scalars(found, **kwargs),
    )
    runner.train()
    return runner, start, scalars


def by_hand():
    """Return Recall@1 and MAP@R of the cosines of raw pixels, among the other images."""
    dataset = RotatedDigits(split='val', serialize_data=False)
    labels = dataset.get_gt_labels()
    pixels = np.stack([dataset.get_data_info(i)['img'].ravel() for i in range(len(dataset))])
    vectors = pixels / np.linalg.norm(pixels.astype(float), axis=1, keepdims=True)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    first, map_at_r = [], []
    for row, label in zip(scores, labels, strict=True):
        hits = labels[np.argsort(-row, kind='stable')] == label
        r = (labels == label).sum() - 1
        first.append(hits[0])
        precision = hits[:r].cumsum() / np.arange(1, r + 1)
        map_at_r.append((precision * hits[:r]).sum() / r)
    return 100 * np.mean(first), 100 * np.mean(map_at_r)


def test_raw_pixels_are_scored_as_by_hand(trained):
    scalars = trained[2]
    recall, map_at_r = by_hand()
    assert scalars['raw_pixels/Recall@1'] == pytest.approx(recall, abs=1e-4)
    assert scalars['raw_pixels/MAP@R'] == pytest.approx(map_at_r, abs=1e-3)


def test_untrained_is_what_the_run_starts_from(trained):
    start = trained[1]
    assert start.weights.keys() == start.untrained.keys()
    for name, value in start.weights.items():
        assert torch.equal(value, start.untrained[name]), name
    assert start.stream_kept


def test_a_pca_that_nothing_was_fitted_to_is_left_out(tmp_path):
    cfg = config(tmp_path)
    cfg.model.pca = {'type': 'PCAProjection', 'in_dims': 16, 'out_dims': 2}
    model = untrained_model(SimpleNamespace(cfg=cfg, seed=3))
    assert model(torch.zeros(2, 3, 8, 8).to(get_device())).shape == (2, 16)


def test_a_test_tells_all_three(trained):
    runner, _, scalars = trained
    cfg = config(runner.work_dir)
    cfg.experiment_name += 'test'
    cfg.load_from = f'{runner.work_dir}/epoch_1.pth'
    tested = Runner.from_cfg(cfg)
    metrics = tested.test()
    printed = tested.message_hub.get_scalar('test/untrained/MAP@R').current()
    assert printed == metrics['untrained/MAP@R']
    for name in ('Recall@1', 'MAP@R'):
        for title in ('raw_pixels', 'untrained'):
            assert metrics[f'{title}/{name}'] == pytest.approx(scalars[f'{title}/{name}'])
    assert metrics['retrieval/MAP@R'] != metrics['untrained/MAP@R']


def test_no_validation_no_baseline(tmp_path):
    cfg = config(tmp_path)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    Runner.from_cfg(cfg).train()
