"""Score retrieval before anything is learnt: with raw pixels, and with the untrained model."""

from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, MODELS
from torch import nn
from torch.utils.data import DataLoader

from ...evaluation.functional.embedding_baselines import score_embeddings
from ..data_check import check_scored_images


@HOOKS.register_module()
class RetrievalBaselineHook(Hook):
    """Score raw pixels and the untrained model with the metrics of the config.

    Without these baselines a score says little: a dataset may be easy for pixels, and random
    weights keep much of the information in the pixels. The baselines are logged before training
    (``raw_pixels/Recall@1``, ``untrained/MAP@R``, ...) and stand beside the scores of the
    trained model after a test.

    Raw pixels are the output of the test pipeline as one l2-normalised vector; all images need
    the same size. The untrained model is the model of the config as the seed of the run
    initialises it, without PCA; if the config starts from pretrained weights, it has these
    (off-the-shelf).
    """

    # before the host's hook that logs the metrics of a test
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Log the scores on the validation data, if the config has such data.

        Args:
            runner: The runner.
        """
        if runner.val_loop is None:
            return
        check_scored_images(runner.val_loop)
        scores = baseline_scores(runner, runner.val_loop.dataloader, runner.val_loop.evaluator)
        runner.visualizer.add_scalars(scores, step=0)
        shown = '  '.join(f'{name}: {value:.4f}' for name, value in scores.items())
        runner.logger.info(f'Before training: {shown}')

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the scores on the test data to those of the trained model.

        Args:
            runner: The runner.
            metrics: The metrics of the test; edited.
        """
        loop = runner.test_loop
        metrics.update(baseline_scores(runner, loop.dataloader, loop.evaluator))


def baseline_scores(
    runner: Runner, dataloader: DataLoader, evaluator: Evaluator
) -> dict[str, float]:
    """Score raw pixels and the untrained model.

    Args:
        runner: The runner, for the config of the model and the seed.
        dataloader: The images.
        evaluator: Metrics on embeddings.

    Returns:
        ``raw_pixels/NAME`` and ``untrained/NAME`` for each NAME of the metrics.
    """
    model = untrained_model(runner)
    scores = {}
    for title, encoder in (('raw_pixels', None), ('untrained', model)):
        measured = score_embeddings(dataloader, evaluator, encoder)
        scores |= {f'{title}/{name.rpartition("/")[2]}': v for name, v in measured.items()}
    return scores


def untrained_model(runner: Runner) -> nn.Module:
    """Build the model of the config as the runner's seed initialises it, without its PCA.

    The random streams of the run are not advanced.

    Args:
        runner: The runner.
    """
    with torch.random.fork_rng():
        torch.manual_seed(runner.seed)
        # the runner sets this for its own model
        preprocessor = {'data_preprocessor': runner.cfg.get('data_preprocessor')}
        model = MODELS.build({**preprocessor, **runner.cfg.model})
        if hasattr(model, 'init_weights'):
            model.init_weights()
    if getattr(model, 'pca', None) is not None:
        model.pca = None  # it is fitted to other weights, or not fitted
    return model.to(get_device()).eval()
