"""Set the number of classes in every part of a config, and the weight of rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from .walking import preprocessor_of, type_name, walk

BALANCES = ('none', 'sampler', 'loss')
WEIGHTED_LOSSES = ('CrossEntropyLoss', 'LabelSmoothLoss')


def set_classes(cfg: Config, classes: Sequence[str]) -> None:
    """Set the number of classes of a config to the number of these classes.

    Args:
        cfg: The config, changed in place.
        classes: The class names.

    Raises:
        ValueError: If the model has no ``num_classes`` to set.
    """
    set_num_classes(cfg, len(classes))


def set_num_classes(cfg: Config, count: int) -> None:
    """Set the number of classes wherever the config has one.

    These places are: the head, also inside a head that wraps it; losses, batch augmentations and
    metrics that need the number; the preprocessor. Top-k metrics with k not below the number of
    classes would always be 100 and are removed.

    Args:
        cfg: The config, changed in place.
        count: The number of classes.

    Raises:
        ValueError: If the model has no ``num_classes`` to set.
    """
    counting = [node for node in walk(cfg.model) if _counts_classes(node)]
    if not counting:
        raise ValueError(
            'the model of this config has no num_classes, so its head cannot be set to the '
            f'{count} classes found. Take a head with num_classes, such as LinearClsHead'
        )
    parts = ('val_evaluator', 'test_evaluator', 'custom_hooks', 'data_preprocessor')
    for node in [*counting, *(node for part in parts for node in walk(cfg.get(part)))]:
        if _counts_classes(node):
            node['num_classes'] = count
    preprocessor = preprocessor_of(cfg)
    if type_name(preprocessor) in ('', 'ClsDataPreprocessor'):
        preprocessor['num_classes'] = count
    for part in ('model', 'val_evaluator', 'test_evaluator'):
        for node in walk(cfg.get(part)):
            if 'topk' in node:
                node['topk'] = _possible_topk(node['topk'], count)
            weights = node.get('class_weight')
            if weights and len(weights) != count:
                node['class_weight'] = None  # the weights belong to other classes


def set_balance(cfg: Config, balance: str, counts: Sequence[int]) -> None:
    """Set how rare classes are weighted.

    Args:
        cfg: The config, changed in place.
        balance: 'none'; 'sampler': each class is sampled equally often; 'loss': an image has the
            weight n / (K n_c), with n images, K classes and n_c images of its class.
        counts: The number of training images of each class.

    Raises:
        ValueError: If there is no such balance, or the loss does not accept weights.
    """
    if balance not in BALANCES:
        raise ValueError(f'balance must be one of {", ".join(BALANCES)}, got {balance!r}')
    if balance == 'sampler':
        cfg.train_dataloader.sampler = ConfigDict(type='ClassBalancedSampler', shuffle=True)
    if balance == 'loss':
        weights = [sum(counts) / (len(counts) * count) for count in counts]
        for head in walk(cfg.model.head):
            if type_name(head).endswith('Head') and 'head' not in head:  # not a wrapper
                loss = head.setdefault('loss', ConfigDict(type='CrossEntropyLoss'))
                if type_name(loss) not in WEIGHTED_LOSSES:
                    raise ValueError(
                        f"balance='loss' needs {' or '.join(WEIGHTED_LOSSES)} in the head, it "
                        f"has {type_name(loss)}; balance='sampler' works with any loss"
                    )
                loss['class_weight'] = [round(weight, 4) for weight in weights]


def counted_classes(node: Any) -> int | None:
    """Return the first number of classes within a part of a config, None if there is none.

    Args:
        node: The part of the config, such as the model.
    """
    return next((n['num_classes'] for n in walk(node) if _counts_classes(n)), None)


def _counts_classes(node: dict) -> bool:
    return isinstance(node.get('num_classes'), int) and node['num_classes'] > 0


def _possible_topk(topk: int | Sequence[int], count: int) -> tuple[int, ...]:
    ks = (topk,) if isinstance(topk, int) else tuple(topk)
    return tuple(k for k in ks if k < count) or (1,)
