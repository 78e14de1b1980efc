"""Street View House Numbers: cropped digits, in MATLAB's files."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ..fileio.documented_errors import documented_errors
from ._annotations import AnnotationError, require_split
from ._mat_file import read_mat_file

PUBLISHED = {  # md5
    'train': 'e26dedcc434d2e4c54c9b2d4a06d8373',
    'test': 'eb5a983be6a315427106f1b164d9cef3',
    'extra': 'a93ce644f1a588dc4d68dda5feec44a7',
}


@DATASETS.register_module()
class SVHN(BaseDataset):
    """Digits of house numbers, 32 x 32 pixels in RGB.

    There are 73,257 images for training, 26,032 for the test and 531,131 extra images. The files
    are placed as they are published::

        svhn/                  data_root
            train_32x32.mat    MAT-file of version 5: X (32, 32, 3, N), uint8, and y (N, 1)
            test_32x32.mat     with the numbers 1 to 10; 10 stands for the digit 0
            extra_32x32.mat

    Images are arrays in RGB, so the preprocessor needs ``to_rgb=False``, as for the host's CIFAR.

    Source: Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning,
    2011.

    Args:
        data_root: The folder that contains the files.
        split: 'train', 'test' or 'extra'.
        check_md5: Whether to check that a file is the published one.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the three.
        AnnotationError: If a file is not the published one or cannot be read.
    """

    METAINFO = {'classes': tuple('0123456789')}
    IS_CLASSIFICATION = True
    SOURCE = (
        'SVHN, format 2: http://ufldl.stanford.edu/housenumbers/{train,test,extra}_32x32.mat into '
        'DIR (md5: ' + ', '.join(f'{name} {md5}' for name, md5 in PUBLISHED.items()) + ')'
    )

    def __init__(
        self, data_root: str, split: str = 'train', check_md5: bool = True, **kwargs: Any
    ) -> None:
        require_split(split, tuple(PUBLISHED))
        self.split = split
        self.check_md5 = check_md5
        kwargs.setdefault('test_mode', split == 'test')
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    @staticmethod
    def annotation_files(data_root: str, split: str = 'train') -> list[Path]:
        """Return the file that is read.

        Args:
            data_root: The folder.
            split: 'train', 'test' or 'extra'.
        """
        return [Path(data_root, f'{split}_32x32.mat')]

    def load_data_list(self) -> list[dict]:
        """List the images of the split, arrays (32, 32, 3) in RGB, with their digits."""
        (path,) = self.annotation_files(self.data_root, self.split)
        if self.check_md5:
            require_md5(path, PUBLISHED[self.split])
        images, labels = read_mat(path)
        return [{'img': i, 'gt_label': int(y)} for i, y in zip(images, labels, strict=True)]

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder and split."""
        return [f'Folder: \t{self.data_root}', f'Split: \t{self.split}']


def read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Load images and digits.

    Args:
        path: A MAT-file with ``X`` and ``y``.

    Returns:
        Images (N, H, W, 3), uint8, in RGB, and digits (N,).

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If the file cannot be read or its content is not as described above.
    """
    if not path.is_file():
        raise FileNotFoundError(f'the file {path} does not exist')

    def told(text: str) -> AnnotationError:
        return AnnotationError(
            f'{path} is not a complete MAT-file of version 5 with X and y ({text}): download it '
            'again'
        )

    with documented_errors(otherwise=told):
        content = read_mat_file(path, ('X', 'y'))
        images, labels = content['X'], content['y'].reshape(-1)
    if images.dtype != np.uint8 or images.shape[2:] != (3, len(labels)):
        raise AnnotationError(
            f'{path}: X must be uint8 of shape (H, W, 3, {len(labels)}), as y has {len(labels)} '
            f'labels; got {images.dtype} of shape {images.shape}'
        )
    wrong = set(labels.tolist()) - set(range(1, 11))
    if wrong:
        raise AnnotationError(f'{path}: labels must lie within 1..10, got {sorted(wrong)[:5]}')
    images = np.ascontiguousarray(images.transpose(3, 0, 1, 2))  # (H, W, 3, N) -> (N, H, W, 3)
    return images, labels.astype(np.int64) % 10


def require_md5(path: Path, published: str) -> None:
    """Check that a file is the published one.

    Args:
        path: The file.
        published: The md5 of the published file.

    Raises:
        AnnotationError: If it has another md5.
    """
    digest = md5(usedforsecurity=False)
    with path.open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() != published:
        raise AnnotationError(
            f'{path} has the md5 {digest.hexdigest()} instead of {published}, so it is not the '
            'published file: download it again, or set check_md5=False if it is your own selection'
        )
