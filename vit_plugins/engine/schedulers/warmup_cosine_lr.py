import math

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmpretrain.registry import PARAM_SCHEDULERS


def warmup_cosine(
    t: float, base: float, total: float, warmup: float, warmup_value: float, eta_min: float
) -> float:
    """Compute a linear warm-up followed by a cosine, both counted from time 0, at time ``t``.

    The phase of the cosine counts from time 0, so the value at the end of the warm-up lies
    slightly below ``base``. This is how the DeiT, ConViT and Swin recipes schedule the
    learning rate; the host's chain of LinearLR and CosineAnnealingLR restarts the phase.

    Args:
        t: Time, in the unit of ``total`` and ``warmup`` (epochs or iterations).
        base: Peak value.
        total: Length of the cosine; beyond it the value stays at ``eta_min``.
        warmup: Length of the warm-up.
        warmup_value: Value at time 0.
        eta_min: Value at time ``total``.

    >>> rate = warmup_cosine(5, base=1e-3, total=300, warmup=5, warmup_value=1e-6, eta_min=1e-5)
    >>> round(rate, 7)  # at the end of the warm-up, slightly below the peak
    0.0009993
    """
    if t < warmup:
        return warmup_value + (base - warmup_value) * t / warmup
    return eta_min + (base - eta_min) * (1 + math.cos(math.pi * min(t / total, 1))) / 2


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Schedule the learning rate of the DeiT, ConViT and Swin recipes: warm-up inside one cosine.

    Args:
        optimizer: Optimizer or optimizer wrapper whose groups are scheduled.
        warmup: Length of the warm-up, in epochs (iterations when not ``by_epoch``).
        total: Length of the cosine. ``None`` means ``end``, which the runner sets to the
            length of the training. A longer cosine than the training stops it early, as
            DRLoc's 100 epochs of a 300-epoch schedule do.
        warmup_lr: Learning rate at time 0.
        eta_min: Learning rate at time ``total``.
        lag: Number of steps by which the schedule trails the training. ``lag=1`` with
            ``by_epoch=True`` is the official step timing of ConViT and DeiT: the schedule is
            advanced with the number of the epoch that just ended, so epochs 0 and 1 both run
            at ``warmup_lr`` and epoch e at the value of e - 1. With ``convert_to_iter_based``
            or ``by_epoch=False`` a step is an iteration: ``lag=1`` is the timing of Swin and
            DRLoc.
        begin: Step at which the schedule starts.
        end: Step at which it stops changing the learning rate.
        last_step: Index of the last step, to resume without a state.
        by_epoch: Whether a step is an epoch.
        verbose: Whether to print each value.

    Raises:
        ValueError: If the warm-up is not shorter than the cosine, or another number is out of its
            range.
    """

    def __init__(
        self,
        optimizer,
        warmup: float = 5,
        total: float | None = None,
        warmup_lr: float = 1e-6,
        eta_min: float = 1e-5,
        lag: int = 0,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.total = end - begin if total is None else total
        if not 0 <= warmup < self.total:
            raise ValueError(
                f'warmup ({warmup}) must be at least 0 and shorter than the schedule '
                f'({self.total}); for a short run also set '
                '`--cfg-options param_scheduler.0.warmup=...`'
            )
        if not lag >= 0:
            raise ValueError(f'lag ({lag}) must be at least 0')
        if not all(map(math.isfinite, (warmup_lr, eta_min))):
            raise ValueError(
                f'warmup_lr ({warmup_lr}) and eta_min ({eta_min}) must be finite numbers'
            )
        if not 0 <= begin < end:
            raise ValueError(f'begin ({begin}) must be at least 0 and before end ({end})')
        if not isinstance(last_step, int) or last_step < -1:
            raise ValueError(f'last_step must be an integer of at least -1, got {last_step!r}')
        self.warmup, self.warmup_lr, self.eta_min, self.lag = warmup, warmup_lr, eta_min, lag
        super().__init__(optimizer, begin, end, last_step, by_epoch, verbose)

    @classmethod
    def build_iter_from_epoch(
        cls, *args, warmup=5, total=None, begin=0, end=INF, by_epoch=True, epoch_length, **kwargs
    ):
        """Build a schedule that steps each iteration from lengths given in epochs."""
        if not by_epoch:
            raise ValueError('only a schedule with by_epoch=True can be converted to iterations')
        return cls(
            *args,
            warmup=warmup * epoch_length,
            total=None if total is None else total * epoch_length,
            begin=int(begin * epoch_length),
            end=end if end == INF else int(end * epoch_length),
            by_epoch=False,
            **kwargs,
        )

    def _get_value(self) -> list[float]:
        t = max(self.last_step - self.lag, 0)
        return [
            warmup_cosine(t, base, self.total, self.warmup, self.warmup_lr, self.eta_min)
            for base in self.base_values
        ]
