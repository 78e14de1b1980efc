"""Keep a model's PCA fitted to its weights."""

from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from ...config_edits.split_loader import split_loader
from ...evaluation.functional.encoding import collect_features
from ...evaluation.functional.pca import matching_pairs
from ...models.necks.pca_projection import PCAProjection
from ...weights.bare_model import bare_model
from ...weights.digest import weights_digest


@HOOKS.register_module()
class FitPCAHook(Hook):
    """Fit ``model.pca``, a :class:`PCAProjection`, before each evaluation with new weights.

    The PCA is fitted to the features of a split of the data, each image once, in evaluation mode
    and with the pipeline of evaluation; on several ranks, to the features of all ranks. The
    fitted PCA is saved in checkpoints together with a flag. The flag is cleared in a checkpoint
    whose weights have changed since the fit, such as one written at the end of an epoch before
    its validation; the hook fits again when such a file is tested. The last checkpoint of a
    training and the best ones are fitted. If the PCA of a loaded checkpoint was fitted to its
    weights, no split is read.

    With ``mode='supervised'`` the matching pairs are the attribute ``pairs`` of the dataset,
    indices of shape (n, 2), as :class:`SfM120k` has them. A dataset without ``pairs`` gives
    pairs of successive images of the same class.

    Args:
        split: The split to fit to: ``'train'``, ``'val'`` or ``'test'``.
        dataloader: Config of a loader that replaces the loader of the split, complete with the
            pipeline; for datasets that cannot be read image by image.
        out_file: The file to which a test writes the model with its fitted PCA. It is for weights
            that were trained without a PCA, such as those of ImageNet, before searching with them.

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
        """Check that the model has a PCA to fit.

        Args:
            runner: The runner.
        """
        model = bare_model(runner.model)
        pca = getattr(model, 'pca', None)
        if not isinstance(pca, PCAProjection):
            raise TypeError(
                f"FitPCAHook needs pca=dict(type='PCAProjection', ...) in the model, that of "
                f'{type(model).__name__} is {type(pca).__name__}: set it, or remove '
                'the hook from custom_hooks'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the weights to which the loaded PCA was fitted.

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
        """Write the model with its PCA if ``out_file`` is set.

        Args:
            runner: The runner.
        """
        if self.out_file is not None and is_main_process():
            state = weights_to_cpu(get_state_dict(bare_model(runner.model)))
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
        """Clear the flag if the PCA was fitted to other weights.

        Args:
            runner: The runner.
            checkpoint: What will be written.
        """
        state = checkpoint['state_dict']
        if self._fitted_to != weights_digest(state):
            state['pca.fitted'] = torch.zeros_like(state['pca.fitted'])

    def _refresh(self, runner: Runner, evaluation: ConfigDict | None) -> None:
        model = bare_model(runner.model)
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
