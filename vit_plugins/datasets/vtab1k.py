"""VTAB-1k: nineteen tasks with a thousand training images each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    read_number,
    read_rows,
    require_counts,
)
from ._published_dataset import PublishedDataset

COLUMNS = ('path', 'label')
NUM_CLASSES = {
    'cifar': 100,
    'caltech101': 102,
    'dtd': 47,
    'oxford_flowers102': 102,
    'oxford_iiit_pet': 37,
    'svhn': 10,
    'sun397': 397,
    'patch_camelyon': 2,
    'eurosat': 10,
    'resisc45': 45,
    'diabetic_retinopathy': 5,
    'clevr_count': 8,
    'clevr_dist': 6,
    'dmlab': 6,
    'kitti': 4,
    'dsprites_loc': 16,
    'dsprites_ori': 16,
    'smallnorb_azi': 18,
    'smallnorb_ele': 9,
}
LISTS = {'train': 'train800', 'val': 'val200', 'trainval': 'train800val200', 'test': 'test'}
PUBLISHED = {'train': 800, 'val': 200, 'trainval': 1_000}


@DATASETS.register_module()
class VTAB1k(PublishedDataset):
    """One task of the Visual Task Adaptation Benchmark, from lists of images.

    Settings are chosen on 'val' after training on 'train'. The final training uses both,
    'trainval', and the result is measured on 'test'. The benchmark's own code reads these images
    from TensorFlow Datasets. This class reads the folders that others made from them (for NOAH,
    RepAdapter and more)::

        vtab-1k/                             data_root
            dtd/train800.txt                 images/train800val200/000000.jpg 14
            dtd/val200.txt
            dtd/train800val200.txt
            dtd/test.txt
            dtd/images/train800val200/000000.jpg

    Classes have numbers but no names; the metadata call them '0', '1' and so on.

    Source: X. Zhai et al., A Large-scale Study of Representation Learning with the Visual Task
    Adaptation Benchmark, 2019.

    Args:
        data_root: The folder that contains the folders of the tasks.
        task: 'cifar', 'caltech101', 'dtd', 'oxford_flowers102', 'oxford_iiit_pet', 'svhn',
            'sun397' (natural); 'patch_camelyon', 'eurosat', 'resisc45', 'diabetic_retinopathy'
            (specialized); 'clevr_count', 'clevr_dist', 'dmlab', 'kitti', 'dsprites_loc',
            'dsprites_ori', 'smallnorb_azi' or 'smallnorb_ele' (structured).
        split: 'train' (800 images), 'val' (200), 'trainval' (1,000) or 'test'.
        check_counts: Whether the number of images must be 800, 200 or 1,000.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If there is no such task or split.
        AnnotationError: If a list is damaged or images are missing.
    """

    SPLITS = tuple(LISTS)
    TEST_SPLITS = ('val', 'test')
    IS_CLASSIFICATION = True
    SOURCE = (
        'VTAB-1k as folders and lists: vtab-1k.zip of https://github.com/luogen1996/RepAdapter '
        '(or made by the scripts of https://github.com/ZhangYuanhan-AI/NOAH), unpacked so that '
        'DIR/dtd/train800.txt exists (no checksums are published: the numbers of images are '
        'checked)'
    )

    def __init__(
        self,
        data_root: str,
        task: str,
        split: str = 'trainval',
        check_counts: bool = True,
        **kwargs: Any,
    ) -> None:
        if task not in NUM_CLASSES:
            raise ValueError(f'task must be one of {", ".join(NUM_CLASSES)}, got {task!r}')
        self.task = task
        kwargs.setdefault('metainfo', {'classes': tuple(map(str, range(NUM_CLASSES[task])))})
        super().__init__(data_root, split, check_counts, **kwargs)

    @staticmethod
    def annotation_files(data_root: str, task: str, split: str = 'trainval') -> list[Path]:
        """Return the list that is read.

        Args:
            data_root: The folder.
            task: The task.
            split: 'train', 'val', 'trainval' or 'test'.
        """
        return [Path(data_root, task, f'{LISTS[split]}.txt')]

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels."""
        (path,) = self.annotation_files(self.data_root, self.task, self.split)
        names, labels = [], []
        for line, (image, text) in read_rows(path, COLUMNS):
            label = read_number(text, path, line)
            if not 0 <= label < NUM_CLASSES[self.task]:
                raise AnnotationError(
                    f'{path}, line {line}: {self.task} has the labels 0 to '
                    f'{NUM_CLASSES[self.task] - 1}, got {label}'
                )
            names.append(image)
            labels.append(label)
        if self.check_counts and self.split in PUBLISHED:
            require_counts(path, {'images': len(names)}, {'images': PUBLISHED[self.split]})
        images = self.place(path.parent, names, path)
        return [{'img_path': i, 'gt_label': y} for i, y in zip(images, labels, strict=True)]

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder, task and split."""
        return [
            f'Folder: \t{self.data_root}',
            f'Task: \t{self.task}',
            f'Split: \t{self.split}',
        ]
