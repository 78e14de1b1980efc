"""Find the replacement of packaged recipes that no longer exist."""

from __future__ import annotations

import re
from pathlib import Path

DRLOC = (
    r'(?:cvt-13|swin-tiny|t2t-vit-14|deit-small|vit-base|convit-small|resnet50)'
    r'(?:-drloc(?:-official)?)?(?:_in1k-pre)?_8xb128-100e'
)
# The end of the name of a removed file, without .py, and its replacement.
GONE = {
    rf'({DRLOC})_([a-z0-9-]+)': r'configs/drloc/\1.py --data \2',
    r'(deit3-small-p16_in1k-pre_8xb96-1000e)_([a-z0-9-]+)': r'configs/deit3/\1.py --data \2',
    r'(vit-(?:base|large)-p16_in21k-pre_8xb64-10k)_(cifar100?)-384px': (
        r'configs/vit/\1-384px.py --data \2'
    ),
    r'((?:convit|deit)-small_8xb128)-6000e_in1k-5pct': (
        r'configs/convit/\1_in1k.py --fraction 0.05'
    ),
    r'((?:convit|deit)-small_8xb128)-\d+e_in1k-([135])0pct': (
        r'configs/convit/\1_in1k.py --fraction 0.\2'
    ),
    r'_base_/schedules/loss_weight_300e_drloc': (
        'a LossWeightHook in custom_hooks, as configs/drloc/README.md shows'
    ),
    r'(?<!small_data/)(small_data_best)': r'configs/small_data/\1.py',
    r'(?<!small_data/)(small_data_best_(?:tenth|lr_search))': r'configs/small_data/\1.yaml',
}


def replacement(name: str | Path) -> str | None:
    """Return the recipe and options that replace a removed packaged file.

    Args:
        name: The file, with or without folders and suffix.

    Returns:
        None for a file that never existed.

    >>> replacement('configs/drloc/svhn/swin-tiny_8xb128-100e_svhn.py')
    'configs/drloc/swin-tiny_8xb128-100e.py --data svhn'
    """
    text = re.sub(r'\.(py|ya?ml)$', '', Path(name).as_posix())
    for pattern, other in GONE.items():
        found = re.search(rf'(?:^|/){pattern}$', text)
        if found:
            return found.expand(other)
    return None
