"""Train a linear layer on features that a frozen backbone computes once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import (
    all_gather_object,
    broadcast,
    broadcast_object_list,
    get_dist_info,
    get_world_size,
    is_main_process,
)
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.models import LinearClsHead
from mmpretrain.registry import LOOPS
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ...config_edits.walking import pipelines_of, preprocessor_of
from ...datasets.photo_groups import groups_of
from ...evaluation.functional.frozen_classifiers import (
    CLASSIFIERS,
    FOLDS,
    assign_folds,
    choose_setting,
)
from ...evaluation.functional.probes import LinearClassifier, accuracy
from ...weights.bare_model import bare_model
from ..feature_cache import FeatureCache, features_file, photo_keys

# How far cached features may differ from those computed again, as a fraction of their length.
NEAR = 0.01
ROUND = 64  # batches of a rank, after which all ranks exchange their features
SAVED_EVERY = 300.0  # seconds


@LOOPS.register_module()
class FrozenFeatureLoop(EpochBasedTrainLoop):
    """Encode each image once, then fit the head to the features of all images.

    A step encodes a batch, for both training and validation. Features of photos that were
    encoded before come from a cache, whose key is weights, pipeline, path, size and time of
    change. The model is an ``ImageClassifier`` with a ``LinearClsHead``, whose weights are set in
    closed form or by L-BFGS; it is then saved, validated and used like any other model. No
    optimizer takes a step. There is no augmentation: training uses the pipeline of the test.

    Args:
        runner: The runner.
        dataloader: The images to train on.
        max_epochs: 1, as each image is encoded once.
        classifier: 'linear': logistic regression on standardised features; 'nearest-mean': the
            class whose mean feature has the largest cosine.
        penalty: λ of 'linear', on the mean cross entropy; None chooses it by cross-validation on
            the training images. The groups of an ``ImageFolder`` stay together, and the folds use
            the seed of the run.
        **kwargs: As in ``EpochBasedTrainLoop``.

    Raises:
        TypeError: If the head is not a ``LinearClsHead``.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        max_epochs: int = 1,
        classifier: str = 'linear',
        penalty: float | None = None,
        **kwargs: Any,
    ) -> None:
        if max_epochs != 1:
            raise ValueError(f'max_epochs must be 1, as images are encoded once; got {max_epochs}')
        if classifier not in CLASSIFIERS:
            raise ValueError(
                f'classifier must be one of {", ".join(CLASSIFIERS)}, got {classifier!r}'
            )
        if penalty is not None and (classifier != 'linear' or not penalty > 0):
            raise ValueError(
                f"penalty must be positive, and belongs to classifier='linear'; got {penalty} "
                f'with {classifier!r}'
            )
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.classifier, self.penalty = classifier, penalty
        self._model = bare_model(runner.model)
        head = getattr(self._model, 'head', None)
        if not isinstance(head, LinearClsHead):
            raise TypeError(
                f'FrozenFeatureLoop sets the weights of a LinearClsHead, and the head of this '
                f'model is a {type(head).__name__}: set model.head to LinearClsHead'
            )
        for part in (self._model.backbone, self._model.neck):
            if part is not None:
                part.requires_grad_(False)
        self.train_accuracy: float | None = None
        self._saved = time.monotonic()

    def run(self) -> torch.nn.Module:
        """Train, unless the resumed training has already ended."""
        self._prepare()
        return super().run()

    def run_epoch(self) -> None:
        """Encode the images that the cache lacks, and fit the head."""
        self.runner.call_hook('before_train_epoch')
        self._model.eval()
        for part, indices in self._missing.items():
            self._encode(part, indices)
        self._fit()
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict[str, Any]) -> Tensor:
        """Encode a batch.

        Args:
            idx: The number of the batch.
            data_batch: The batch.

        Returns:
            Features, float32 on the CPU, (B, D).

        Raises:
            ValueError: If the features do not fit the input of the head.
        """
        hook = partial(self.runner.call_hook, batch_idx=idx, data_batch=data_batch)
        hook('before_train_iter')
        inputs = self._model.data_preprocessor(data_batch, False)['inputs']
        found = self._model.extract_feat(inputs, stage='pre_logits')
        width = self._model.head.in_channels
        if not isinstance(found, Tensor) or found.shape != (len(inputs), width):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f'backbone and neck give {shape} for {len(inputs)} images, and the head takes '
                f'({len(inputs)}, {width}): set model.neck and model.head.in_channels to fit'
            )
        hook('after_train_iter', outputs={})
        self._iter += 1
        return found.float().cpu()

    def features(self, part: str) -> Tensor:
        """Return the features of all images of a loader, (N, D), in the order of its dataset.

        Args:
            part: 'train' or 'val'.
        """
        if lacking := self._lacking(part):  # the resumed training had already ended
            self._encode(part, lacking)
        return self._cache.get(self._keys[part])

    def _prepare(self) -> None:
        """Find the images that have to be encoded, and compute how many steps that takes.

        Raises:
            ValueError: If training and validation have different pipelines.
        """
        self._loaders = {'train': self.dataloader}
        if self.runner.val_loop is not None:
            self._loaders['val'] = self.runner.val_loop.dataloader
            ways = [pipelines_of(self.runner.cfg[f'{part}_dataloader']) for part in self._loaders]
            if ways[0] != ways[1]:
                raise ValueError(
                    'FrozenFeatureLoop keeps the features of each image, seen as in a test: set '
                    'the pipeline of train_dataloader to that of val_dataloader'
                )
        folder = getattr(self.dataloader.dataset, 'data_root', None) or ''
        self._cache = FeatureCache(features_file(self._model, _settings(self.runner.cfg), folder))
        self._keys = {part: photo_keys(x.dataset, part) for part, x in self._loaders.items()}
        self._missing: dict[str, list[int]] = {}
        self._max_iters = self._iter
        for part, loader in self._loaders.items() if self._epoch < self._max_epochs else ():
            missing, keys = self._lacking(part), self._keys[part]
            known = [i for i, key in enumerate(keys) if key in self._cache]
            if known:
                told = f'{len(known)} of {len(keys)} images ({part}) were encoded before'
                self.runner.logger.info(f'{told}: {self._cache.path}')
            # some images are encoded again and compared with the cache
            self._missing[part] = [*known[: loader.batch_size], *missing]
            share = -(-len(self._missing[part]) // get_world_size())
            self._max_iters += -(-share // loader.batch_size)

    def _lacking(self, part: str) -> list[int]:
        """Return one image for each key that the cache lacks; the first rank chooses them."""
        keys = self._keys[part]
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._cache}
        found = [sorted(first.values())]
        broadcast_object_list(found)
        return found[0]

    def _encode(self, part: str, indices: Sequence[int]) -> None:
        """Encode some images of a loader, in rounds after which all ranks have all features."""
        rank, ranks = get_dist_info()
        size = ROUND * self._loaders[part].batch_size * ranks
        try:
            for start in range(0, len(indices), size):
                found = self._encode_share(part, indices[start : start + size][rank::ranks])
                for keys, features in all_gather_object(found):
                    self._keep(keys, features)
                if is_main_process() and time.monotonic() - self._saved > SAVED_EVERY:
                    self._save()
        finally:  # also when the training is stopped
            if is_main_process():
                self._save()

    def _encode_share(self, part: str, indices: Sequence[int]) -> tuple[list[str], Tensor]:
        """Return the keys and features of the images that this rank encodes."""
        loader, keys = self._loaders[part], [self._keys[part][i] for i in indices]
        found = [self._model.head.fc.weight.new_zeros(0, self._model.head.in_channels).cpu()]
        for batch in _batches_of(loader, indices):
            found.append(self.run_iter(self._iter, batch))
            if get_world_size() == 1:  # a round that is stopped loses nothing
                done = sum(map(len, found))
                self._keep(keys[done - len(found[-1]) : done], found[-1])
        return keys, torch.cat(found)

    def _keep(self, keys: Sequence[str], features: Tensor) -> None:
        """Keep new features; features that were already known must be the same.

        Raises:
            ValueError: If they differ.
        """
        known = [i for i, key in enumerate(keys) if key in self._cache]
        if known:
            before, again = self._cache.get([keys[i] for i in known]), features[known]
            if (before - again).norm() > NEAR * again.norm():
                raise ValueError(
                    f'The features in {self._cache.path} are not those that the model computes '
                    'now: delete that file and train again'
                )
        new = [i for i, key in enumerate(keys) if key not in self._cache]
        self._cache.add([keys[i] for i in new], features[new])

    def _save(self) -> None:
        self._cache.save()
        self._saved = time.monotonic()

    def _fit(self) -> None:
        features = self.features('train')
        dataset = self.dataloader.dataset
        labels = torch.tensor(
            [int(dataset.get_data_info(i)['gt_label']) for i in range(len(dataset))]
        )
        fc = self._model.head.fc
        fitted = self._fitted(features, labels, fc.out_features)
        self.train_accuracy = accuracy(fitted.predict(features), labels)
        with torch.no_grad():
            fc.weight.copy_(fitted.weight.T)
            fc.bias.copy_(fitted.bias)
        for value in (fc.weight, fc.bias):  # ranks may round differently
            broadcast(value.data)

    def _fitted(self, features: Tensor, labels: Tensor, num_classes: int) -> LinearClassifier:
        fit, settings = CLASSIFIERS[self.classifier]
        weight = getattr(self._model.head.loss_module, 'class_weight', None)
        if weight is not None and self.classifier == 'linear':
            fit = partial(fit, class_weight=torch.tensor(weight))
        if self.penalty is not None:
            return fit(features, labels, num_classes, self.penalty)
        folds = assign_folds(labels, groups_of(self.dataloader.dataset), FOLDS, self.runner.seed)
        name = 'penalty' if self.classifier == 'linear' else 'sharpness'
        if not (folds >= 0).any():
            middle = settings[len(settings) // 2]
            self.runner.logger.warning(
                f'No image can be held out to choose the {name}, as no class has two images or '
                f'groups: {name} {middle:g} is taken'
            )
            return fit(features, labels, num_classes, middle)
        rough = partial(fit, tolerance=1e-4) if self.classifier == 'linear' else fit
        counts = None if weight is None else torch.tensor(weight)
        chosen = choose_setting(rough, settings, features, labels, num_classes, folds, counts)
        self.runner.logger.info(
            f'{self.classifier} classifier on {features.shape[1]} features: {name} '
            f'{chosen.setting:g} of {settings[0]:g} to {settings[-1]:g} by cross-validation on '
            f'{int((folds >= 0).sum())} of the training images, accuracy there '
            f'{chosen.accuracy:.1f} %'
        )
        return fit(features, labels, num_classes, chosen.setting)


def _settings(cfg: Config) -> list[Any]:
    """Return the settings that features depend on, without classes and the path of weights."""
    preprocessor = {k: v for k, v in preprocessor_of(cfg).items() if k != 'num_classes'}
    parts = [cfg.model.backbone, cfg.model.get('neck') or {}, preprocessor]
    kept = [{k: v for k, v in part.items() if k != 'init_cfg'} for part in parts]
    return [*kept, *pipelines_of(cfg.train_dataloader)]


def _batches_of(loader: DataLoader, indices: Sequence[int]) -> DataLoader:
    """Return a loader of some images, in this order, with the settings of another loader."""
    return DataLoader(
        Subset(loader.dataset, indices),
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
    )
