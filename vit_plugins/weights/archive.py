"""Check that the zip archive of a checkpoint is complete and the same for every reader.

Python and torch each have their own code to read such archives. If a file has two directories, or
two names that differ only in case, the two may find different content, and a check by one proves
nothing about what the other reads. So only archives without such ambiguity are accepted.
"""

import logging
import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

import torch
from mmengine.logging import print_log

from ..fileio.documented_errors import documented_errors

BLOCK = 1 << 20
PICKLE = 'data.pkl'
PROGRAM = 'constants.pkl'  # torch runs an archive with this file as TorchScript
# The end records of an archive: the one of every archive, and those of ZIP64 before it.
END = struct.Struct('<4s4H2IH')
LOCATOR = struct.Struct('<4sIQI')
END64 = struct.Struct('<4sQ2H2I4Q')
END_MARK, LOCATOR_MARK, END64_MARK = b'PK\x05\x06', b'PK\x06\x07', b'PK\x06\x06'


class DamagedArchiveError(RuntimeError):
    """A zip archive is not in the form that ``torch.save`` writes, or has changed since."""


def check_archive(path: Path) -> dict[str, int]:
    """Compare a zip archive of ``torch.save`` with its own checksums.

    Args:
        path: The file.

    Returns:
        The size of each record in bytes, by its name without the common folder.

    Raises:
        DamagedArchiveError: If a record is missing, changed, compressed or duplicated, or if two
            readers of archives could find different records.
        OSError: If the file cannot be opened.
    """
    with (
        path.open('rb') as opened,  # an OSError after this comes from a wrong offset in the file
        documented_errors(DamagedArchiveError, otherwise=DamagedArchiveError),
        zipfile.ZipFile(opened) as archive,
    ):
        _require_one_directory(opened)
        records = archive.infolist()
        _require_plain_names(records)
        _require_plain_records(records, path.stat().st_size)
        sizes = {record.filename.partition('/')[2]: record.file_size for record in records}
        has_checksums = any(record.CRC for record in records)
        if not has_checksums:  # torch.serialization.set_crc32_options(False) was called
            print_log(
                f'{path} has no checksums: a change of its bytes would not be noticed',
                logger='current',
                level=logging.WARNING,
            )
        for record in records:
            with archive.open(record) as file:
                while has_checksums and file.read(BLOCK):
                    pass
    return sizes


def require_same_for_torch(path: Path) -> None:
    """Check that torch finds the same content in an archive as Python does.

    Args:
        path: An archive that :func:`check_archive` has accepted.

    Raises:
        DamagedArchiveError: If the names of the records differ, or the bytes of the pickle.
    """
    with documented_errors(DamagedArchiveError, otherwise=DamagedArchiveError):
        theirs = torch._C.PyTorchFileReader(str(path))
        names = set(theirs.get_all_records())
        with zipfile.ZipFile(path) as archive:
            ours = {record.filename.partition('/')[2] for record in archive.infolist()}
            with open_pickle(archive) as file:
                if names != ours or theirs.get_record(PICKLE) != file.read():
                    raise DamagedArchiveError('torch finds other records in it than Python')


def open_pickle(archive: zipfile.ZipFile) -> IO[bytes]:
    """Open the pickle of a checkpoint.

    Args:
        archive: An archive that :func:`check_archive` has accepted.
    """
    (record,) = (r for r in archive.infolist() if r.filename.partition('/')[2] == PICKLE)
    del record.CRC  # it has been checked already, or is absent
    return archive.open(record)


def _require_one_directory(file: BinaryIO) -> None:
    """Check that the directory is where its end record says, with nothing else around it."""
    size = file.seek(0, os.SEEK_END)
    before_end = size - END.size
    mark, *_, length, start, comment = _unpacked(END, file, before_end)
    if mark != END_MARK or comment:
        raise DamagedArchiveError('the archive has no end, or something follows it')
    end = before_end
    if before_end >= LOCATOR.size + END64.size:
        mark, _, place, _ = _unpacked(LOCATOR, file, before_end - LOCATOR.size)
        if mark == LOCATOR_MARK:
            end = before_end - LOCATOR.size - END64.size
            mark, own, *_, length, start = _unpacked(END64, file, end)
            if place != end or mark != END64_MARK or own != END64.size - 12:
                raise DamagedArchiveError('the ends of the archive are out of order')
    if start + length != end:
        raise DamagedArchiveError(
            f'the directory of the archive is to end at byte {start + length:,}, but ends at '
            f'{end:,}: another one may lie there'
        )


def _unpacked(kind: struct.Struct, file: BinaryIO, place: int) -> tuple:
    file.seek(place)
    return kind.unpack(file.read(kind.size))


def _require_plain_names(records: Sequence[zipfile.ZipInfo]) -> None:
    folders = {record.filename.partition('/')[0] for record in records}
    names = [record.filename.partition('/')[2] for record in records]
    if len(folders) > 1 or '' in names:
        raise DamagedArchiveError('the records of the archive are not in one folder')
    folded = {name.casefold() for name in names}
    if PROGRAM in folded:
        raise DamagedArchiveError('it is a program of TorchScript, by torch.jit.save')
    if len(folded) != len(names) or PICKLE not in names:
        raise DamagedArchiveError(f'the archive lacks {PICKLE}, or has a record twice')
    if not all(name.isascii() for name in names) or any(
        record.filename != record.orig_filename for record in records
    ):
        raise DamagedArchiveError('a record has a name that can be read in two ways')


def _require_plain_records(records: Sequence[zipfile.ZipInfo], size: int) -> None:
    if any(
        record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size
        for record in records
    ):
        raise DamagedArchiveError('the archive has packed records, as torch.save makes none')
    if sum(record.file_size for record in records) > size:
        raise DamagedArchiveError('the records of the archive are larger than the file')
