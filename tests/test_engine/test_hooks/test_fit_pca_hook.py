"""The hook in runs: when it fits, to what, and what is saved."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import HOOKS, MODELS
from ranks import run_on_ranks
from torch import nn

from vit_plugins.engine.hooks.fit_pca_hook import FitPCAHook
from vit_plugins.evaluation.functional.encoding import collect_features
from vit_plugins.evaluation.functional.pca import fit_pca, matching_pairs
from vit_plugins.weights.digest import weights_digest


class TinyRetriever(BaseModel):
    """A linear backbone whose features dropout changes in training mode."""

    def __init__(self, mode='plain'):
        super().__init__(data_preprocessor=ClsDataPreprocessor(mean=[127] * 3, std=[60] * 3))
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 8), nn.Dropout(0.5))
        self.pca = MODELS.build(dict(type='PCAProjection', in_dims=8, out_dims=4, mode=mode))

    def extract_feat(self, inputs):
        return self.backbone(inputs)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        features = self.extract_feat(inputs)
        if mode == 'loss':
            return dict(loss=features.square().mean())
        for sample, embedding in zip(data_samples, self.pca(features), strict=True):
            sample.set_field(embedding, 'embedding', dtype=torch.Tensor)
        return data_samples


PACK = [dict(type='PackInputs')]
FLIP = [dict(type='RandomFlip', prob=1.0), *PACK]  # not to be seen by what fits


def loader(split, pipeline):
    return dict(
        batch_size=300,
        num_workers=0,
        dataset=dict(type='Digits', split=split, pipeline=pipeline),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )


def build_runner(work_dir, model=None, hook=None, checkpoint=None, **settings):
    metric = dict(type='RetrievalMetric', topk=(1,), items=('Recall',))
    evaluation = loader('val', PACK)
    settings = {'train_cfg': dict(by_epoch=True, max_epochs=2)} | settings
    loaders = dict(
        train_dataloader=loader('train', FLIP),
        val_dataloader=evaluation,
        test_dataloader=evaluation,
    )
    return Runner(
        model=model or TinyRetriever(),
        work_dir=str(work_dir),
        cfg=Config(loaders),
        **loaders,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=metric,
        test_evaluator=metric,
        custom_hooks=[hook or dict(type='FitPCAHook')],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1) | (checkpoint or {})
        ),
        default_scope='mmpretrain',
        experiment_name=work_dir.name,
        **settings,
    )


@pytest.fixture
def fits(monkeypatch):
    """Return a list that records each fit."""
    done = []
    fit = type(TinyRetriever().pca).fit

    def counted(self, features, pairs=None):
        done.append((features, pairs))
        fit(self, features, pairs)

    monkeypatch.setattr(type(TinyRetriever().pca), 'fit', counted)
    return done


def fitted(path):
    return int(torch.load(path, weights_only=False)['state_dict']['pca.fitted'])


def is_of_its_weights(path):
    """Check that a fit computed by hand to the training images is equal."""
    state = torch.load(path, weights_only=False)['state_dict']
    model = TinyRetriever()
    model.load_state_dict(state, strict=True)
    data = Runner.build_dataloader(loader('train', PACK))
    features = collect_features(model, data)['embedding']
    projection = fit_pca(features, 4)[1].float()
    return torch.allclose(model.pca.projection, projection, atol=1e-5)


def test_training_validates_with_a_fit_to_each_weights_and_saves_the_last(tmp_path, fits):
    runner = build_runner(tmp_path)
    runner.train()
    # Before the validation of epoch 1; at the end of epoch 2, whose validation needs no other.
    assert len(fits) == 2
    assert not torch.allclose(fits[0][0], fits[1][0])
    assert fitted(tmp_path / 'epoch_1.pth') == 0  # written before the first fit
    assert fitted(tmp_path / 'epoch_2.pth') == 1
    assert is_of_its_weights(tmp_path / 'epoch_2.pth')

    fits.clear()
    expected = runner.val()
    assert not fits  # the weights are the same
    with torch.no_grad():
        runner.model.backbone[1].weight.mul_(-2).add_(1)
    runner.val()
    assert len(fits) == 1

    fits.clear()
    for name, number in (('epoch_2.pth', 0), ('epoch_1.pth', 1)):
        tested = build_runner(tmp_path / name[:7], load_from=str(tmp_path / name))
        found = tested.test()
        assert len(fits) == number
        assert number or found == expected


@pytest.mark.slow
def test_the_best_checkpoint_is_fitted(tmp_path):
    """So is the one of its epoch, which the host then writes once more."""
    best = dict(save_best='retrieval/Recall@1', rule='greater')
    runner = build_runner(tmp_path, checkpoint=best, train_cfg=dict(by_epoch=True, max_epochs=2))
    runner.train()
    (path,) = tmp_path.glob('best_*.pth')
    for saved in (path, tmp_path / 'epoch_1.pth'):
        assert fitted(saved) == 1
        assert is_of_its_weights(saved)


@pytest.mark.slow
def test_iterations_and_averaged_weights(tmp_path, fits):
    settings = dict(
        train_cfg=dict(by_epoch=False, max_iters=3, val_interval=3),
        hook=dict(type='FitPCAHook'),
    )
    runner = build_runner(tmp_path, **settings)
    runner.register_hook(dict(type='CheckpointHook', by_epoch=False, interval=3))
    runner.train()
    assert len(fits) == 1
    assert is_of_its_weights(tmp_path / 'iter_3.pth')
    assert fitted(tmp_path / 'iter_3.pth') == 1

    fits.clear()
    runner = build_runner(tmp_path / 'ema', **settings)
    runner.register_hook(dict(type='EMAHook', momentum=0.5))
    runner.register_hook(dict(type='CheckpointHook', by_epoch=False, interval=3))
    runner.train()
    # At the end to the weights trained, in validation to the averaged ones that are deployed.
    assert len(fits) == 2
    assert not torch.allclose(fits[0][0], fits[1][0])
    assert (
        fitted(tmp_path / 'ema' / 'iter_3.pth') == 0
    )  # written with averaged weights: not theirs


@pytest.mark.slow
def test_a_training_that_starts_from_a_fitted_model_fits_again(tmp_path, fits):
    model = TinyRetriever()
    model.pca.fit(torch.randn(20, 8))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'old.pth')
    fits.clear()
    runner = build_runner(
        tmp_path / 'run',
        load_from=str(tmp_path / 'old.pth'),
        train_cfg=dict(by_epoch=True, max_epochs=1),
    )
    runner.train()
    assert len(fits) == 1


def test_supervised_pairs_are_those_of_the_data_set_or_of_its_classes(tmp_path, fits):
    build_runner(tmp_path, TinyRetriever('supervised')).val()
    (_, pairs), data = fits[0], Runner.build_dataloader(loader('train', PACK)).dataset
    labels = data.get_gt_labels()
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert len(pairs) == len(labels) - 10
    data.pairs = [(0, 1)]
    assert matching_pairs(data, None).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match='list has neither pairs nor labels'):
        matching_pairs([], None)


def test_a_test_writes_the_model_with_the_pca_that_it_fitted(tmp_path, fits):
    out = tmp_path / 'new' / 'fitted.pth'
    hook = FitPCAHook(out_file=str(out))
    assert f'out_file={str(out)!r}' in repr(hook)
    build_runner(tmp_path, hook=hook).test()
    assert len(fits) == 1
    assert fitted(out) == 1
    assert is_of_its_weights(out)


def test_mode_of_the_model_is_kept():
    data = Runner.build_dataloader(loader('val', PACK))
    model = TinyRetriever().train()
    first = collect_features(model, data)
    assert model.training
    np.testing.assert_array_equal(
        first['embedding'], collect_features(model.eval(), data)['embedding']
    )
    assert not model.training


def test_digest_is_that_of_the_encoder_alone():
    model = TinyRetriever()
    before = weights_digest(model.state_dict())
    model.pca.fit(torch.randn(20, 8))
    assert weights_digest(model.state_dict()) == before
    with torch.no_grad():
        model.backbone[1].bias[3] += 1e-6
    assert weights_digest(model.state_dict()) != before


def test_messages(tmp_path):
    with pytest.raises(ValueError, match=r"split \('query'\) must be 'train', 'val' or 'test'"):
        HOOKS.build(dict(type='FitPCAHook', split='query'))
    model = TinyRetriever()
    model.pca = None
    with pytest.raises(
        TypeError, match=r'FitPCAHook needs pca=.*that of TinyRetriever is NoneType'
    ):
        build_runner(tmp_path, model).val()
    assert repr(FitPCAHook()) == "FitPCAHook(split='train', dataloader=None, out_file=None)"


def encode_share(rank, folder):
    """Write the features of all images, encoded by both ranks and joined."""
    torch.manual_seed(0)
    model, data = TinyRetriever(), Runner.build_dataloader(loader('test', PACK))
    assert len(data.dataset) % 2 == 1
    np.save(f'{folder}/{rank}.npy', collect_features(model, data)['embedding'])


@pytest.mark.slow
def test_two_ranks_fit_to_all_images_once(tmp_path):
    run_on_ranks(encode_share, tmp_path, tmp_path)
    torch.manual_seed(0)
    model, data = TinyRetriever(), Runner.build_dataloader(loader('test', PACK))
    expected = collect_features(model, data)['embedding']
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f'{rank}.npy'), expected, atol=1e-6)
