"""The dataset inside wrappers."""

from types import SimpleNamespace

from vit_plugins.datasets._dataset_wrapper import leaf_dataset
from vit_plugins.datasets.readable_part import ReadablePart


def test_the_innermost_dataset_is_found():
    leaf = SimpleNamespace(metainfo={}, dataset=None)  # no wrapper, although it has the attribute
    assert leaf_dataset(leaf) is leaf
    wrapped = ReadablePart(SimpleNamespace(dataset=leaf), [], [])
    assert leaf_dataset(wrapped) is leaf
    assert leaf_dataset(joined := SimpleNamespace(datasets=[leaf])) is joined
