"""Base class of datasets that are read as their authors publish them."""

from typing import Any, ClassVar

from ._annotations import ListedImages, require_split


class PublishedDataset(ListedImages):
    """Images in a folder, with lists of the splits and published numbers of images.

    Args:
        data_root: The folder.
        split: One of ``SPLITS``.
        check_counts: Whether to check the numbers of images and classes against the published
            ones.
        **kwargs: Further arguments of :class:`ListedImages`.

    Raises:
        ValueError: If there is no such split.
    """

    SPLITS: ClassVar[tuple[str, ...]]
    TEST_SPLITS: ClassVar[tuple[str, ...]] = ('test',)

    def __init__(
        self, data_root: str, split: str = 'train', check_counts: bool = True, **kwargs: Any
    ) -> None:
        require_split(split, self.SPLITS)
        self.split = split
        self.check_counts = check_counts
        kwargs.setdefault('test_mode', split in self.TEST_SPLITS)
        super().__init__(data_root, **kwargs)

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder and split."""
        return [f'Folder: \t{self.data_root}', f'Split: \t{self.split}']
