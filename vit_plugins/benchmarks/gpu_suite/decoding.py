"""Decode the images of configs into their caches, so that no stage has to wait.

python -m vit_plugins.benchmarks.gpu_suite.decoding CONFIG...
"""

import sys
from collections.abc import Sequence

from mmengine.config import Config
from mmpretrain.registry import DATASETS
from mmpretrain.utils import register_all_modules


def main(argv: Sequence[str] | None = None) -> None:
    """Build the datasets of each config on the CPU.

    Args:
        argv: Config files; those of this process by default.
    """
    register_all_modules()
    for name in sys.argv[1:] if argv is None else argv:
        cfg = Config.fromfile(name)
        for loader in ('train_dataloader', 'val_dataloader'):
            dataset = cfg[loader].dataset
            dataset.device = 'cpu'
            print(f'{len(DATASETS.build(dataset))} images', flush=True)


if __name__ == '__main__':
    main()
