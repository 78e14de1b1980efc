"""ImageNet-100: a hundred classes of ImageNet-1k."""

from __future__ import annotations

from pathlib import Path

from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    read_number,
    read_rows,
    require_counts,
)
from ._published_dataset import PublishedDataset
from .folder_scan import list_images

_IDS = """
n01558993 n01692333 n01729322 n01735189 n01749939 n01773797 n01820546 n01855672 n01978455
n01980166 n01983481 n02009229 n02018207 n02085620 n02086240 n02086910 n02087046 n02089867
n02089973 n02090622 n02091831 n02093428 n02099849 n02100583 n02104029 n02105505 n02106550
n02107142 n02108089 n02109047 n02113799 n02113978 n02114855 n02116738 n02119022 n02123045
n02138441 n02172182 n02231487 n02259212 n02326432 n02396427 n02483362 n02488291 n02701002
n02788148 n02804414 n02859443 n02869837 n02877765 n02974003 n03017168 n03032252 n03062245
n03085013 n03259280 n03379051 n03424325 n03492542 n03494278 n03530642 n03584829 n03594734
n03637318 n03642806 n03764736 n03775546 n03777754 n03785016 n03787032 n03794056 n03837869
n03891251 n03903868 n03930630 n03947888 n04026417 n04067472 n04099969 n04111531 n04127249
n04136333 n04229816 n04238763 n04336792 n04418357 n04429376 n04435653 n04485082 n04493381
n04517823 n04589890 n04592741 n07714571 n07715103 n07753275 n07831146 n07836838 n13037406
n13040303
"""
_LABELS = """
15 45 54 57 64 74 90 99 119 120 122 131 137 151 155 157 158 166 167 169 176 180 209 211 222 228
234 236 242 246 267 268 272 275 277 281 299 305 313 317 331 342 368 374 407 421 431 449 452 455
479 494 498 503 508 544 560 570 592 593 599 606 608 619 620 653 659 662 665 667 674 682 703 708
717 724 748 758 765 766 772 775 796 798 830 854 857 858 872 876 882 904 908 936 938 953 959 960
993 994
"""
WORDNET_IDS = tuple(_IDS.split())  # sorted: the position of a class is its label
IMAGENET_LABELS = tuple(map(int, _LABELS.split()))  # their labels in ImageNet-1k
PUBLISHED = {'train': 126_689, 'val': 5_000}


@DATASETS.register_module()
class ImageNet100(PublishedDataset):
    """126,689 training and 5,000 test images of a hundred classes of ImageNet-1k.

    It reads the folder of the host's ``ImageNet``, which may contain the other classes as well::

        imagenet/                              data_root
            train/n01558993/n01558993_4.JPEG
            val/n01558993/ILSVRC2012_val_00001598.JPEG
            meta/val.txt                       if val/ has no class folders:
                                               ILSVRC2012_val_00001598.JPEG 15

    As in the host, a list in ``meta`` is preferred to the class folders; its labels are those of
    ImageNet-1k. The label in this dataset is the position among the sorted WordNet ids.

    Source: Y. Tian et al., Contrastive Multiview Coding, ECCV 2020, whose list DRLoc uses.

    Args:
        data_root: The folder that contains ``train`` and ``val``.
        split: 'train' or 'val'.
        check_counts: Whether the number of images must be the published one.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the two.
        AnnotationError: If a class has no folder, or a list is damaged or images are missing.
    """

    SPLITS = tuple(PUBLISHED)
    TEST_SPLITS = ('val',)
    METAINFO = {'classes': tuple(IMAGENET_CATEGORIES[label] for label in IMAGENET_LABELS)}
    IS_CLASSIFICATION = True
    SOURCE = (
        'ImageNet-1k (ILSVRC 2012): https://image-net.org/challenges/LSVRC/2012/, unpacked so '
        'that DIR/train/n01558993 and DIR/val exist; the other 900 classes may be left out'
    )

    @staticmethod
    def annotation_files(data_root: str, split: str = 'train') -> list[Path]:
        """Return the source of the classes: a list, or else the folder.

        Args:
            data_root: The folder.
            split: 'train' or 'val'.
        """
        listed = Path(data_root, 'meta', f'{split}.txt')
        return [listed if listed.is_file() else Path(data_root, split)]

    def load_data_list(self) -> list[dict]:
        """List the images of the hundred classes with their labels."""
        (source,) = self.annotation_files(self.data_root, self.split)
        rows = read_meta(source) if source.suffix == '.txt' else read_class_folders(source)
        if self.check_counts:
            require_counts(source, {'images': len(rows)}, {'images': PUBLISHED[self.split]})
        folder, names = Path(self.data_root, self.split), [name for name, _ in rows]
        if source.suffix == '.txt':
            images = self.place(folder, names, source)
        else:
            images = [str(folder / name) for name in names]
        return [{'img_path': i, 'gt_label': y} for i, (_, y) in zip(images, rows, strict=True)]


def read_class_folders(folder: Path) -> list[tuple[str, int]]:
    """List the images in the folders of the hundred classes.

    Args:
        folder: The folder that contains the class folders.

    Returns:
        Path below the folder and label of every image.

    Raises:
        AnnotationError: If classes have no folder.
    """
    missing = [name for name in WORDNET_IDS if not (folder / name).is_dir()]
    if missing:
        raise AnnotationError(
            f'{folder} lacks the folders of {len(missing)} of the 100 classes, such as '
            f'{", ".join(missing[:5])}: unpack ImageNet there, with one folder per class'
        )
    return [
        (f'{name}/{image}', label)
        for label, name in enumerate(WORDNET_IDS)
        for image in list_images(folder / name)[0]
    ]


def read_meta(path: Path) -> list[tuple[str, int]]:
    """Read the images of the hundred classes from a list of ImageNet-1k.

    Args:
        path: The list: a path and a label within 0..999 in each line.

    Returns:
        Path and label within 0..99 of every image of the hundred classes.

    Raises:
        AnnotationError: If the list is damaged.
    """
    order = {label: position for position, label in enumerate(IMAGENET_LABELS)}
    rows = read_rows(path, ('path', 'label'))
    numbered = [(name, read_number(label, path, line)) for line, (name, label) in rows]
    return [(name, order[label]) for name, label in numbered if label in order]
