"""Keep a model's PCA fitted to its weights."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from mmpretrain.registry import HOOKS
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from vit_plugins.datasets.image_check import tracked
from vit_plugins.evaluation.functional.pca import label_pairs
from vit_plugins.evaluation.functional.sample_collection import merge_batches, pack_batch
from vit_plugins.models.necks.pca_projection import PCAProjection

ENCODER = ('backbone.', 'neck.')


@HOOKS.register_module()
class FitPCAHook(Hook):
    """Fit ``model.pca``, a :class:`PCAProjection`, before each evaluation with new weights.

    It is fitted to the features of a split of the data, each image once, in evaluation mode and
    with the pipeline of evaluation; on several ranks, to the features of all. What was fitted is
    saved in checkpoints together with a flag; a checkpoint whose weights have changed since, as
    one written at the end of an epoch before its validation, has the flag cleared, and the hook
    fits again when such a file is tested. The last checkpoint of a training and the best ones
    are fitted. Where the weights of a loaded checkpoint belong to its PCA, no split is read.

    With ``mode='supervised'`` the matching pairs are the attribute ``pairs`` of the dataset,
    indices of shape (n, 2), as :class:`SfM120k` has them; without it, images of the same class
    that follow one another.

    Args:
        split: Whose data to fit to: ``'train'``, ``'val'`` or ``'test'``.
        dataloader: Config of a loader to take instead of that of the split, complete with the
            pipeline; for datasets that cannot be read image by image.
        out_file: Where a test writes the model with the PCA it fitted: for weights that were not
            trained with one, such as those of ImageNet, before searching with them.

    Raises:
        ValueError: If there is no such split.
        TypeError: If the model has no PCA.
    """

    # After the averaged weights came in (NORMAL), before a checkpoint is written (VERY_LOW).
    priority = 'LOW'

    def __init__(
        self,
        split: str = 'train',
        dataloader: dict | None = None,
        out_file: str | None = None,
    ) -> None:
        if split not in ('train', 'val', 'test'):
            raise ValueError(f"split ({split!r}) must be 'train', 'val' or 'test'")
        self.split = split
        self.dataloader = dataloader
        self.out_file = out_file
        self._loader: DataLoader | None = None
        self._fitted_to: str | None = None  # digest of the weights

    def __repr__(self) -> str:
        return (
            f'FitPCAHook(split={self.split!r}, dataloader={self.dataloader}, '
            f'out_file={self.out_file!r})'
        )

    def before_run(self, runner: Runner) -> None:
        """Check that there is something to fit.

        Args:
            runner: The runner.
        """
        pca = getattr(_bare(runner.model), 'pca', None)
        if not isinstance(pca, PCAProjection):
            raise TypeError(
                f"FitPCAHook needs pca=dict(type='PCAProjection', ...) in the model, that of "
                f'{type(_bare(runner.model)).__name__} is {type(pca).__name__}: set it, or remove '
                'the hook from custom_hooks'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep which weights the loaded PCA belongs to.

        Args:
            runner: The runner.
            checkpoint: What was read.
        """
        self._fitted_to = weights_digest(checkpoint.get('state_dict', checkpoint))

    def before_val_epoch(self, runner: Runner) -> None:
        """Fit if the weights are new.

        Args:
            runner: The runner.
        """
        self._refresh(runner, runner.cfg.get('val_dataloader'))

    def before_test_epoch(self, runner: Runner) -> None:
        """Fit if the weights are new.

        Args:
            runner: The runner.
        """
        self._refresh(runner, runner.cfg.get('test_dataloader'))

    def after_test(self, runner: Runner) -> None:
        """Write the model with its PCA, if asked for.

        Args:
            runner: The runner.
        """
        if self.out_file is not None and is_main_process():
            state = weights_to_cpu(get_state_dict(_bare(runner.model)))
            save_checkpoint({'state_dict': state, 'meta': {}}, self.out_file)
            runner.logger.info(f'The model with its PCA: {self.out_file}')

    def after_train_epoch(self, runner: Runner) -> None:
        """Fit at the end of a training, before its last checkpoint.

        Args:
            runner: The runner.
        """
        if not isinstance(runner.train_loop, IterBasedTrainLoop) and self.is_last_train_epoch(
            runner
        ):
            self._refresh(runner, runner.cfg.get('val_dataloader'))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Fit at the end of a training that counts iterations, before its last checkpoint.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: Not used.
        """
        if isinstance(runner.train_loop, IterBasedTrainLoop) and self.is_last_train_iter(runner):
            self._refresh(runner, runner.cfg.get('val_dataloader'))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Clear the flag where the PCA is not that of the weights.

        Args:
            runner: The runner.
            checkpoint: What will be written.
        """
        state = checkpoint['state_dict']
        if self._fitted_to != weights_digest(state):
            state['pca.fitted'] = torch.zeros_like(state['pca.fitted'])

    def _refresh(self, runner: Runner, evaluation: ConfigDict | None) -> None:
        model = _bare(runner.model)
        digest = weights_digest(model.state_dict())
        decision = [not model.pca.is_fitted or digest != self._fitted_to]
        broadcast_object_list(decision)  # buffers may differ between ranks
        if decision[0]:
            if self._loader is None:
                config = self.dataloader or split_loader(runner.cfg, self.split, evaluation)
                self._loader = runner.build_dataloader(config)
            samples = collect_features(model, self._loader)
            pairs = None
            if model.pca.mode == 'supervised':
                pairs = matching_pairs(self._loader.dataset, samples.get('gt_label'))
            model.pca.fit(torch.from_numpy(samples['embedding']), pairs)
            runner.logger.info(
                f'PCA fitted to {len(samples["embedding"])} images of '
                f'{"its own loader" if self.dataloader else self.split}: {model.pca}'
            )
        self._fitted_to = digest


@torch.no_grad()
def collect_features(model: nn.Module, loader: DataLoader) -> dict[str, np.ndarray]:
    """Encode a dataset, each image once, on all ranks together.

    Args:
        model: With ``data_preprocessor`` and ``extract_feat``; its mode is kept.
        loader: The data, a part of them on each rank.

    Returns:
        On each rank ``'embedding'``, the features (N, D), ``'sample_idx'``, ``'role'`` and, if
        there are any, ``'gt_label'`` of all samples, sorted by index.
    """
    training = model.training
    model.eval()
    batches = []
    for batch in tracked(loader, len(loader), 'Encoding', None if is_main_process() else False):
        batch = model.data_preprocessor(batch, False)
        features = model.extract_feat(batch['inputs'])
        samples = [
            {**sample.to_dict(), 'embedding': feature}
            for sample, feature in zip(batch['data_samples'], features, strict=True)
        ]
        batches.append(pack_batch(samples, *({'gt_label'} & samples[0].keys())))
    model.train(training)
    gathered = [part for parts in all_gather_object(batches) for part in parts]
    return merge_batches(gathered, len(loader.dataset))


def matching_pairs(dataset: Dataset, labels: np.ndarray | None) -> np.ndarray:
    """Find pairs of images that show the same, as indices of shape (n, 2).

    Args:
        dataset: With an attribute ``pairs``, or not.
        labels: Of each image; needed without that attribute.

    Raises:
        ValueError: If there is neither.
    """
    pairs = getattr(dataset, 'pairs', None)
    if pairs is None and labels is None:
        raise ValueError(
            f"{type(dataset).__name__} has neither pairs nor labels for mode='supervised' of "
            'PCAProjection: choose another split, dataloader or mode'
        )
    return label_pairs(labels) if pairs is None else np.asarray(pairs)


def split_loader(cfg: Mapping[str, Any], split: str, evaluation: Mapping | None) -> dict[str, Any]:
    """Make a loader config that reads each image of a split once, as evaluation would.

    Args:
        cfg: The config of the run.
        split: Which of its datasets.
        evaluation: The loader config of the evaluation; its pipeline and batch size are taken.

    Raises:
        ValueError: If the config has no such split, or no evaluation to take the pipeline from.
    """
    source = cfg.get(f'{split}_dataloader')
    evaluation = evaluation or cfg.get('test_dataloader')
    if not source or not evaluation:
        missing = f'{split}_dataloader' if not source else 'val_dataloader or test_dataloader'
        raise ValueError(
            f'the config has no {missing} to encode images of: choose another split, or take a '
            'config that has it'
        )
    dataset = deepcopy(source['dataset'])
    pipeline = _find_pipeline(evaluation['dataset'])
    _set_pipeline(dataset, pipeline)
    kept = ('batch_size', 'num_workers', 'persistent_workers', 'pin_memory', 'collate_fn')
    return {
        **{name: deepcopy(evaluation[name]) for name in kept if name in evaluation},
        'dataset': dataset,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
    }


def _inner(dataset: Mapping) -> list[Mapping]:
    """List the datasets that one is made of."""
    return list(dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else []))


def _find_pipeline(dataset: Mapping) -> list:
    while 'pipeline' not in dataset:
        dataset = _inner(dataset)[0]
    return deepcopy(dataset['pipeline'])


def _set_pipeline(dataset: dict, pipeline: list) -> None:
    for part in _inner(dataset):
        _set_pipeline(part, pipeline)
    if not _inner(dataset):
        dataset['pipeline'] = pipeline


def weights_digest(state: Mapping[str, Any]) -> str:
    """Sum up in a few letters the weights that features depend on.

    Args:
        state: State dict of the model.

    Returns:
        A digest: equal for equal weights, wherever they are, and only for those.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        if name.startswith(ENCODER) and isinstance(state[name], Tensor):
            digest.update(name.encode())
            value = state[name].detach().cpu().contiguous().flatten()
            digest.update(value.view(torch.uint8).numpy())
    return digest.hexdigest()


def _bare(model: nn.Module) -> nn.Module:
    while is_model_wrapper(model):
        model = model.module
    return model
