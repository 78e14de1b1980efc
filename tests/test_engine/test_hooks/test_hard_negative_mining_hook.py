"""Re-mined negatives: the hook alone, in a run that is interrupted, and on two ranks."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATA_SAMPLERS, HOOKS, MODELS
from ranks import run_on_ranks
from torch import nn

from vit_plugins.evaluation.functional.hard_negatives import mine_hard_negatives

PACK = {'type': 'PackInputs'}
MODEL = {
    'type': 'EmbeddingRetriever',
    'backbone': {
        'type': 'VisionTransformer',
        'img_size': 8,
        'patch_size': 4,
        'arch': {'embed_dims': 16, 'num_layers': 1, 'num_heads': 2, 'feedforward_channels': 16},
    },
    'neck': {'type': 'TokenPooling', 'mode': 'cls'},
    'head': {
        'type': 'ContrastiveRetrievalHead',
        'loss': {'type': 'TupleContrastiveLoss', 'tuple_size': 4, 'margin': 0.85},
    },
    'data_preprocessor': {'mean': [127] * 3, 'std': [60] * 3},
}


class Landmarks(BaseDataset):
    """Noisy images of six landmarks, four of each, paired within the landmark."""

    def load_data_list(self):
        rng = np.random.default_rng(0)
        self.pairs = np.array([(4 * k + i, 4 * k + i + 1) for k in range(6) for i in range(3)])
        kinds = rng.integers(0, 256, (6, 8, 8, 3))
        noise = rng.integers(-40, 40, (24, 8, 8, 3))
        return [
            {'img': (kinds[i // 4] + noise[i]).clip(0, 255).astype(np.uint8), 'gt_label': i // 4}
            for i in range(24)
        ]


def landmarks(pipeline=(PACK,)):
    return Landmarks(ann_file='', pipeline=pipeline, serialize_data=False)


def sampler_of(dataset):
    settings = {'num_pairs': 5, 'pool_size': 20, 'num_negatives': 2, 'seed': 0}
    return DATA_SAMPLERS.build({'type': 'TupleSampler', 'dataset': dataset, **settings})


def mining(**kwargs):
    return HOOKS.build({'type': 'HardNegativeMiningHook', 'pipeline': [PACK], **kwargs})


class Pixels(nn.Module):
    """Describe an image by its pixels; record each call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def data_preprocessor(self, batch, training):
        return {'inputs': torch.stack(batch['inputs']).float()}

    def extract_feat(self, inputs):
        self.calls.append((self.training, torch.is_grad_enabled(), len(inputs)))
        return inputs.flatten(1) - 127


def fake_runner(model, sampler, dataset, epoch=0):
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset, sampler=sampler))
    return SimpleNamespace(model=model, train_loop=loop, epoch=epoch, logger=Mock())


def test_mines_with_the_network_in_evaluation_mode():
    dataset = landmarks(({'type': 'RandomErasing', 'erase_prob': 1.0}, PACK))
    sampler, model = sampler_of(dataset), Pixels()
    runner = fake_runner(model, sampler, dataset, epoch=3)
    mining(batch_size=8).before_train_epoch(runner)
    assert {call[:2] for call in model.calls} == {(False, False)}
    assert [call[2] for call in model.calls] == [8, 8, 8, 1]
    assert model.training
    assert sampler.epoch == 3
    # the same by hand, from the images without the random transform
    plain = landmarks()
    stack = torch.stack([plain[i]['inputs'] for i in range(24)]).flatten(1).float() - 127
    features = nn.functional.normalize(stack, dim=1)
    (queries, positives), pool = sampler.epoch_sample.pairs.T, sampler.epoch_sample.pool
    labels = torch.as_tensor(plain.get_gt_labels())
    places = mine_hard_negatives(
        features[queries], features[pool], labels[queries], labels[pool], 2
    )
    expected = torch.cat([queries[:, None], positives[:, None], pool[places]], dim=1)
    assert torch.equal(sampler.tuples, expected)
    assert (
        'Epoch 4: hard negatives of 5 queries among 20 images'
        in runner.logger.info.call_args[0][0]
    )


def test_pca_that_is_fitted_after_training_has_no_part_in_it():
    drawn = []
    for pca in (None, {'type': 'PCAProjection', 'in_dims': 16, 'out_dims': 2}):
        torch.manual_seed(0)
        dataset, model = landmarks(), MODELS.build({**MODEL, 'pca': pca})
        sampler = sampler_of(dataset)
        mining().before_train_epoch(fake_runner(model, sampler, dataset))
        drawn.append(sampler.tuples)
    assert torch.equal(*drawn)


def test_refusals():
    dataset = landmarks()
    runner = fake_runner(Pixels(), DefaultSampler(dataset), dataset)
    with pytest.raises(TypeError, match='needs a TupleSampler, training draws with DefaultSam'):
        mining().before_train_epoch(runner)
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        mining(batch_size=0)


class Recorder:
    """Record the tuples of each epoch."""

    def __init__(self):
        self.tuples = {}

    def hook(self):
        from mmengine.hooks import Hook

        hook = Hook()
        hook.after_train_epoch = lambda runner: self.tuples.update(
            {runner.epoch: runner.train_loop.dataloader.sampler.tuples}
        )
        return hook


def train(work_dir, recorder, epochs, **kwargs):
    loader = {
        'dataset': landmarks(),
        'batch_size': 8,  # two tuples of four
        'num_workers': 0,
        'sampler': {
            'type': 'TupleSampler',
            'num_pairs': 4,
            'pool_size': 20,
            'num_negatives': 2,
        },
        'collate_fn': {'type': 'default_collate'},
    }
    runner = Runner(
        model=MODEL,
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg={'by_epoch': True, 'max_epochs': epochs},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.05}},
        custom_hooks=[
            {'type': 'HardNegativeMiningHook', 'pipeline': [PACK]},
            recorder.hook(),
        ],
        default_scope='mmpretrain',
        default_hooks={'checkpoint': {'type': 'CheckpointHook', 'interval': 1}},
        randomness={'seed': 0},
        log_level='WARNING',
        experiment_name=f'{work_dir.name}{epochs}',
        **kwargs,
    )
    runner.train()
    return runner.model


def test_resumed_run_trains_on_the_same_tuples(tmp_path):
    straight, parts = Recorder(), Recorder()
    model = train(tmp_path / 'straight', straight, 3)
    train(tmp_path / 'parts', parts, 1)
    resumed = train(tmp_path / 'parts', parts, 3, resume=True)
    assert straight.tuples.keys() == parts.tuples.keys() == {0, 1, 2}
    for epoch, tuples in straight.tuples.items():
        assert torch.equal(tuples, parts.tuples[epoch])
    for one, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def mine_on_rank(rank, folder):
    dataset = landmarks()
    sampler, model = sampler_of(dataset), Pixels()
    mining().before_train_epoch(fake_runner(model, sampler, dataset))
    torch.save(
        {'tuples': sampler.tuples, 'mine': list(sampler), 'encoded': model.calls[0][2]},
        folder / f'{rank}.pth',
    )


@pytest.mark.slow
def test_two_ranks_share_the_work_and_hold_the_same_tuples(tmp_path):
    run_on_ranks(mine_on_rank, tmp_path, tmp_path)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in range(2))
    dataset = landmarks()
    sampler = sampler_of(dataset)
    mining().before_train_epoch(fake_runner(Pixels(), sampler, dataset))
    assert torch.equal(first['tuples'], sampler.tuples)
    assert torch.equal(second['tuples'], sampler.tuples)
    assert first['encoded'] == second['encoded'] == 13  # of 5 + 20
    dealt = torch.tensor([first['mine'], second['mine']]).reshape(2, 3, 4)
    assert torch.equal(dealt.transpose(0, 1).reshape(6, 4)[:5], sampler.tuples)
