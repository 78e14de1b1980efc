"""Schedule the weight of a loss by the epoch."""

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ...weights.bare_model import bare_model


def scheduled_weight(
    epoch: int, weight: float, warmup_epochs: int = 20, total_epochs: int | None = 300
) -> float:
    """Compute the weight λ_e of epoch e: λ·e/W up to epoch W, then linearly to 0 at epoch T.

    The schedule of the code released with arXiv 2106.03746 (W = 20, T = 300).

    Args:
        epoch: Epoch e, counted from 0.
        weight: Full weight λ.
        warmup_epochs: W; 0 starts with the full weight.
        total_epochs: T; None keeps the full weight after the warm-up.

    Example:
        >>> [scheduled_weight(epoch, 0.5) for epoch in (0, 1, 10, 20, 160, 300)]
        [0.0, 0.025, 0.25, 0.5, 0.25, 0.0]
    """
    if epoch < warmup_epochs:
        return weight * epoch / warmup_epochs
    if total_epochs is None or epoch == warmup_epochs:
        return weight
    if epoch >= total_epochs:
        return 0.0
    return weight * (1 - (epoch - warmup_epochs) / (total_epochs - warmup_epochs))


@HOOKS.register_module()
class LossWeightHook(Hook):
    """Set ``loss_weight`` of a module at the start of each epoch: warm-up, then decay.

    The weight depends on the epoch alone, so a resumed run continues as it would have without
    the break. It may be 0 under DDP: :class:`DRLocHead` multiplies by it. The log shows it as
    ``<module>_weight``. With ``decay=False`` it stays constant after the warm-up.

    Args:
        module: Dotted name of the module in the model; if it is a list of modules, all of
            them are set.
        weight: Full weight; None takes the ``loss_weight`` that the module was built with.
        warmup_epochs: Epochs to rise from 0, in which epoch 0 has weight 0.
        total_epochs: Epoch at which the weight is back at 0; None takes the run's number of
            epochs (the released code: 300, of which it runs 101).
        decay: Whether the weight falls linearly after the warm-up.

    Raises:
        ValueError: If the epochs do not form a schedule, or the run does not count epochs.
        AttributeError: If the module does not exist or has no ``loss_weight``.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        module: str = 'head.drloc',
        weight: float | None = None,
        warmup_epochs: int = 20,
        total_epochs: int | None = None,
        decay: bool = True,
    ) -> None:
        if not warmup_epochs >= 0:
            raise ValueError(f'warmup_epochs ({warmup_epochs}) must not be negative')
        if total_epochs is not None and not decay:
            raise ValueError(f'total_epochs ({total_epochs}) has no meaning with decay=False')
        if total_epochs is not None and not total_epochs > warmup_epochs:
            raise ValueError(
                f'total_epochs ({total_epochs}) must exceed warmup_epochs ({warmup_epochs})'
            )
        self.module = module
        self.weight = weight
        self.warmup_epochs = warmup_epochs
        self.total_epochs = total_epochs
        self.decay = decay
        self._full = None

    def before_train(self, runner: Runner) -> None:
        """Keep the full weights.

        Args:
            runner: The runner.
        """
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError('LossWeightHook counts epochs: set by_epoch=True in train_cfg')
        if self._full is None:
            modules = self._modules(runner)
            self._full = [m.loss_weight if self.weight is None else self.weight for m in modules]
        if self.warmup_epochs >= runner.max_epochs:
            runner.logger.warning(
                f'The training ({runner.max_epochs} epochs) ends within the warm-up of the loss '
                f'weight ({self.warmup_epochs} epochs): set warmup_epochs of LossWeightHook'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the weight of this epoch and log it.

        Args:
            runner: The runner.
        """
        total = (self.total_epochs or runner.max_epochs) if self.decay else None
        for module, full in zip(self._modules(runner), self._full, strict=True):
            module.loss_weight = scheduled_weight(runner.epoch, full, self.warmup_epochs, total)
        name = self.module.rpartition('.')[2]
        runner.message_hub.update_scalar(f'train/{name}_weight', module.loss_weight)

    def _modules(self, runner: Runner) -> list[nn.Module]:
        module = bare_model(runner.model).get_submodule(self.module)
        modules = list(module) if isinstance(module, nn.ModuleList) else [module]
        if not all(hasattr(m, 'loss_weight') for m in modules):
            raise AttributeError(
                f'module {self.module!r} ({type(module).__name__}) has no loss_weight to '
                'schedule: set module of LossWeightHook'
            )
        return modules
