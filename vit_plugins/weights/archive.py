"""The zip archive of a checkpoint: whole, and the same one for all who read it.

Python and torch read such archives by code of their own. Where a file has two directories, or two
names that differ in case alone, each finds other content in it, and a check by one says nothing of
what the other reads. So only archives are taken in which there is nothing to choose.
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
PROGRAM = 'constants.pkl'  # torch takes an archive with it for TorchScript, which it would run
# The ends of an archive: the one that each has, and those of ZIP64 in front of it.
END = struct.Struct('<4s4H2IH')
LOCATOR = struct.Struct('<4sIQI')
END64 = struct.Struct('<4sQ2H2I4Q')
END_MARK, LOCATOR_MARK, END64_MARK = b'PK\x05\x06', b'PK\x06\x07', b'PK\x06\x06'


class DamagedArchiveError(RuntimeError):
    """A zip archive is not as ``torch.save`` writes it, or has changed since."""


def check_archive(path: Path) -> dict[str, int]:
    """Compare a zip archive of ``torch.save`` with its own checksums.

    Args:
        path: The file.

    Returns:
        Bytes of each record, by its name without the folder that all lie in.

    Raises:
        DamagedArchiveError: If a record is missing, changed, packed or twice there, or if two
            readers of archives could find different records.
        OSError: If the file cannot be opened.
    """
    with (
        path.open('rb') as opened,  # an OSError from here on is of a place that there is not
        documented_errors(DamagedArchiveError, otherwise=DamagedArchiveError),
        zipfile.ZipFile(opened) as archive,
    ):
        _require_one_directory(opened)
        records = archive.infolist()
        _require_plain_names(records)
        _require_plain_records(records, path.stat().st_size)
        sizes = {record.filename.partition('/')[2]: record.file_size for record in records}
        has_checksums = any(record.CRC for record in records)
        if not has_checksums:  # torch.serialization.set_crc32_options(False) has been called
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
    """Compare what torch finds in an archive with what Python finds.

    Args:
        path: An archive that :func:`check_archive` has taken.

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
        archive: One that :func:`check_archive` has taken.
    """
    (record,) = (r for r in archive.infolist() if r.filename.partition('/')[2] == PICKLE)
    del record.CRC  # it is compared already, or there is none
    return archive.open(record)


def _require_one_directory(file: BinaryIO) -> None:
    """Check that the directory lies where its end says, and that nothing else is around it."""
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
