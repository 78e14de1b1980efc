"""The host's ViT head for models that predict yes or no for each class."""

from typing import Any

from mmpretrain.models.heads import VisionTransformerClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from .._number_checks import check_sizes


@MODELS.register_module()
class VisionTransformerBCEHead(VisionTransformerClsHead):
    """``VisionTransformerClsHead`` with binary cross-entropy and scores to match.

    Its ``pred_score`` is the sigmoid of each logit, so the scores of a sample need not sum to 1.
    Their ranking is that of the logits. Weights can be exchanged with the host's head in both
    directions.

    Args:
        num_classes: Number of classes.
        in_channels: Width of the features.
        loss: Config of the loss; None is ``BinaryCrossEntropyLoss`` as in DeiT III.
        **kwargs: Further arguments of the host's head.

    Raises:
        ValueError: If a number is not positive.
    """

    def __init__(
        self, num_classes: int, in_channels: int, loss: dict | None = None, **kwargs: Any
    ):
        check_sizes(in_channels=in_channels)
        loss = loss or dict(type='BinaryCrossEntropyLoss')
        super().__init__(num_classes, in_channels, loss=loss, **kwargs)

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample | None] | None
    ) -> list[DataSample]:
        cls_score = cls_score.float()
        # From the logits: float32 sigmoids of 17 and 18 are both 1.
        labels = cls_score.argmax(dim=1, keepdim=True).detach()
        samples = []
        for given, score, label in zip(
            data_samples or [None] * len(cls_score), cls_score.sigmoid(), labels, strict=True
        ):
            sample = DataSample() if given is None else given
            samples.append(sample.set_pred_score(score).set_pred_label(label))
        return samples
