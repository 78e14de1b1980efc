"""The data samples of a batch, held as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor


class DataSampleBatch:
    """The labels and metadata of B images: one tensor or list a field, not one object an image.

    It stands where the host has a list of ``DataSample`` and behaves like one: ``batch[i]``,
    ``len(batch)`` and iteration give ``DataSample`` objects, made when first asked for and kept,
    so that what a head writes into one is there for the next reader. A worker sends a batch as
    a few objects, where a list costs the main process hundreds of microseconds an image.

    It is no ``collections.abc.Sequence`` on purpose: torch's ``pin_memory`` would take it apart.

    Args:
        fields: Name to tensor of data such as ``gt_label``, each of shape (B, ...). Item ``i``
            gets ``tensor[i]``; a label, of shape (B, 1), thus arrives as (1,).
        metainfo: Name to list of B values such as ``img_path``.
        length: B.

    Raises:
        ValueError: If a column has not B entries.
    """

    def __init__(
        self, fields: Mapping[str, Tensor], metainfo: Mapping[str, Sequence], length: int
    ) -> None:
        for name, column in (*fields.items(), *metainfo.items()):
            if len(column) != length:
                raise ValueError(f'{name} has {len(column)} entries for {length} images.')
        self.fields = dict(fields)
        self.metainfo = {name: list(column) for name, column in metainfo.items()}
        self._length = length
        self._samples: list[DataSample] | None = None

    @classmethod
    def from_samples(cls, samples: Sequence[DataSample]) -> DataSampleBatch | None:
        """Return the columns of data samples, or None if they do not fit into columns.

        Args:
            samples: At least one sample. They fit if all have the same fields and the tensors of
                each field have one shape and type.
        """
        first = samples[0]
        names, meta_names = set(first.keys()), set(first.metainfo_keys())
        for sample in samples:
            if set(sample.keys()) != names or set(sample.metainfo_keys()) != meta_names:
                return None
        fields = {}
        for name in sorted(names):
            values = [sample.get(name) for sample in samples]
            if not all(isinstance(value, Tensor) for value in values):
                return None
            if len({(value.shape, value.dtype) for value in values}) > 1:
                return None
            fields[name] = torch.utils.data.default_collate(values)
        metainfo = {name: [s.get(name) for s in samples] for name in sorted(meta_names)}
        return cls(fields, metainfo, len(samples))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice) -> DataSample | list[DataSample]:
        return self._made()[index]

    def __iter__(self) -> Iterator[DataSample]:
        return iter(self._made())

    def __getattr__(self, name: str) -> Tensor:
        """Return a column: ``batch.gt_label`` is ``batch.fields['gt_label']``."""
        if name != 'fields' and name in self.__dict__.get('fields', {}):
            return self.fields[name]
        raise AttributeError(f'a batch of data samples has no {name!r}')

    def set_field(self, name: str, column: Tensor) -> None:
        """Set a data field of all samples.

        Args:
            name: Its name.
            column: The values, shape (B, ...).

        Raises:
            ValueError: If there are not B values.
        """
        if len(column) != self._length:
            raise ValueError(f'{name} has {len(column)} entries for {self._length} images.')
        self.fields[name] = column
        if self._samples is not None:
            for sample, value in zip(self._samples, column.unbind(), strict=True):
                sample.set_field(value, name, dtype=Tensor)

    def set_metainfo(self, name: str, value: Any) -> None:
        """Set one value of metadata for all samples.

        Args:
            name: Its name.
            value: The value.
        """
        self.metainfo[name] = [value] * self._length
        for sample in self._samples or ():
            sample.set_metainfo({name: value})

    def to_read(self) -> DataSampleBatch | list[_Row]:
        """Return samples for code that only reads: the batch, or rows of it in compiled code."""
        if self._samples is None and _is_compiling():
            return [_Row(self, index) for index in range(self._length)]
        return self

    def pin_memory(self) -> DataSampleBatch:
        """Return the batch in pinned memory; torch's loader calls this."""
        pinned = {name: column.pin_memory() for name, column in self.fields.items()}
        return DataSampleBatch(pinned, self.metainfo, self._length)

    def _made(self) -> list[DataSample]:
        """Make the data samples, once: their dictionaries at once, not setter by setter."""
        if self._samples is None:
            meta_names, names = tuple(self.metainfo), tuple(self.fields)
            columns = [*self.metainfo.values(), *(c.unbind() for c in self.fields.values())]
            rows = zip(*columns, strict=True) if columns else [()] * self._length
            self._samples = [_make(meta_names, names, row) for row in rows]
        return self._samples

    def __reduce__(self) -> tuple:
        """Send columns only: a sample that was made is made again where it arrives."""
        return DataSampleBatch, (self.fields, self.metainfo, self._length)

    def __repr__(self) -> str:
        shapes = {name: tuple(column.shape) for name, column in self.fields.items()}
        meta = ', '.join(self.metainfo)
        return f'DataSampleBatch({self._length} samples, fields {shapes}, metainfo {meta})'


# torch 2.1 and 2.2 lack it; they cannot compile the host either
_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


class _Row:
    """A data sample in code that ``torch.compile`` traces: it reads a column when it is asked.

    A real data sample holds all its metadata, such as the file name. The compiled graph would
    then be valid for these files alone, and each step would be compiled again.
    """

    def __init__(self, batch: DataSampleBatch, index: int) -> None:
        self._batch, self._index = batch, index

    def __contains__(self, name: str) -> bool:
        return name in self._batch.fields or name in self._batch.metainfo

    def get(self, name: str, default: Any = None) -> Any:
        for columns in (self._batch.fields, self._batch.metainfo):
            if name in columns:
                return columns[name][self._index]
        return default

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f'a data sample of this batch has no {name!r} to read')
        return self.get(name)


def _make(meta_names: tuple[str, ...], names: tuple[str, ...], row: tuple[Any, ...]) -> DataSample:
    sample = DataSample()
    content = sample.__dict__
    content.update(zip((*meta_names, *names), row, strict=True))
    content['_metainfo_fields'].update(meta_names)
    content['_data_fields'].update(names)
    return sample
