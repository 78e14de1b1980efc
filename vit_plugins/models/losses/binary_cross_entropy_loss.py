"""Binary cross-entropy for each class, as DeiT III and ResNet strikes back train with.

Touvron et al., "DeiT III: Revenge of the ViT", arXiv 2204.07118; Wightman et al., "ResNet strikes
back", arXiv 2110.00476, section 3.1.
"""

import torch
import torch.nn.functional as F
from mmpretrain.models.losses.utils import weight_reduce_loss
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .device_check import require


def class_targets(
    label: Tensor,
    num_classes: int,
    target_threshold: float | None = 0.0,
    label_smooth_val: float = 0.0,
) -> Tensor:
    """Turn labels into a target in [0, 1] for each class, shape (N, C).

    Args:
        label: Indices (N,), or scores (N, C) such as those of Mixup and CutMix.
        num_classes: C.
        target_threshold: Classes with a higher score are full positives, whatever their share in
            the mixture; None keeps the scores.
        label_smooth_val: Share that is taken from the target and spread over all classes.

    Raises:
        ValueError: If the labels have another shape or, on a CPU, indices outside the classes; a
            GPU stops the program with an assertion instead.
    """
    if label.ndim == 1 and not label.is_floating_point():
        require(
            ((label >= 0) & (label < num_classes)).all(),
            lambda: (
                f'The labels lie between {label.min()} and {label.max()}, the scores are of '
                f'{num_classes} classes: num_classes of the head and the dataset disagree.'
            ),
            'a label is none of the classes: num_classes of the head and the dataset disagree',
        )
        target = F.one_hot(label.long(), num_classes).float()
    elif label.ndim == 2 and label.shape[1] == num_classes:
        target = label.float()
    else:
        raise ValueError(
            f'Labels must be integers (N,) or scores (N, {num_classes}), got {label.dtype} '
            f'{tuple(label.shape)}.'
        )
    if target_threshold is not None:
        target = (target > target_threshold).float()
    return target * (1 - label_smooth_val) + label_smooth_val / num_classes


@MODELS.register_module()
class BinaryCrossEntropyLoss(nn.Module):
    """Binary cross-entropy of each class, averaged over the batch and the classes.

    With the default threshold, both classes of a mixed image are full positives, as in the
    official code of DeiT III. The mean over classes is part of the loss of a sample: the
    ``avg_factor`` that the host's heads pass counts samples, and all-zero scores cost ln 2 =
    0.6931 for any number of classes. The host's own losses give C times that, which changes the
    effect of gradient clipping.

    Args:
        target_threshold: Classes whose score in the target is higher are full positives; None
            keeps mixed targets as they are.
        label_smooth_val: Label smoothing; needs ``target_threshold=None``.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``, over the samples.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: If a setting is out of range, or smoothing is combined with a threshold.
    """

    def __init__(
        self,
        target_threshold: float | None = 0.0,
        label_smooth_val: float = 0.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ):
        super().__init__()
        if target_threshold is not None and not 0 <= target_threshold < 1:
            raise ValueError(f'target_threshold ({target_threshold}) must be None or in [0, 1).')
        if not 0 <= label_smooth_val < 1:
            raise ValueError(f'label_smooth_val ({label_smooth_val}) must be in [0, 1).')
        if label_smooth_val and target_threshold is not None:
            raise ValueError(
                f'label_smooth_val={label_smooth_val} raises every class, and target_threshold='
                f'{target_threshold} makes targets of 0 and 1: drop the smoothing, or set '
                f'target_threshold=None.'
            )
        self.reduction = self._checked(reduction)
        self.target_threshold = target_threshold
        self.label_smooth_val = label_smooth_val
        self.loss_weight = loss_weight

    @staticmethod
    def _checked(reduction: str) -> str:
        if reduction not in ('mean', 'sum', 'none'):
            raise ValueError(f'reduction {reduction!r} is none of mean, sum, none.')
        return reduction

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Return a scalar, or (N,) without reduction; float32 also for half-precision scores.

        Args:
            cls_score: Logits (N, C).
            label: Indices (N,) or scores (N, C).
            weight: Factor of each sample (N,).
            avg_factor: The divisor of the sum over the samples in the mean, instead of N; without
                samples the mean is 0.
            reduction_override: Another reduction for this call.

        Raises:
            ValueError: If labels and scores do not fit.
        """
        reduction = self._checked(reduction_override or self.reduction)
        num, classes = cls_score.shape
        target = class_targets(label, classes, self.target_threshold, self.label_smooth_val)
        if len(target) != num:
            raise ValueError(f'There are {len(target)} labels for scores of {num} samples.')
        cls_score = cls_score.to(torch.promote_types(cls_score.dtype, torch.float32))
        loss = F.binary_cross_entropy_with_logits(
            cls_score, target.to(cls_score), reduction='none'
        ).mean(dim=1)  # (N,)
        if num == 0 and reduction == 'mean':
            avg_factor = 1.0  # a rank may have no images
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)

    def extra_repr(self) -> str:
        """Return the settings, to print."""
        return (
            f'target_threshold={self.target_threshold}, label_smooth_val={self.label_smooth_val}, '
            f'reduction={self.reduction}, loss_weight={self.loss_weight}'
        )
