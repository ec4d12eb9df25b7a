"""Unpacks a delivery that comes as one zip file; trusts nothing that the archive says of itself."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from pipeline.errors import RESOURCE_ERRORS
from pipeline.reader import DeliveryError

MOST_BYTES = 64 << 30
MOST_FOLD = 200  # unpacked to packed; text packs twentyfold at the most
BLOCK_BYTES = 1 << 20


class UnsafeArchiveError(DeliveryError):
    """An archive that could do harm; nothing of it was kept."""


def unpack(archive: Path, names: Collection[str], target: Path) -> Path:
    """Unpack the contract's files into `target`, a new folder; return it.

    Bytes are counted as they come, because an archive may lie about its size. Raises
    UnsafeArchiveError for a name that is not one of `names`, a link, or more bytes than allowed,
    and DeliveryError for an archive that is broken.
    """
    target.mkdir()
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            for member in members:
                _refuse_unsafe(archive, member, names)
            if len({member.filename for member in members}) < len(members):
                raise UnsafeArchiveError(
                    f"{archive.name}: holds two files of one name; deliver one"
                )
            left = min(MOST_BYTES, MOST_FOLD * archive.stat().st_size)
            for member in members:
                left = _copy(packed, member, target / member.filename, left)
    except DeliveryError:
        raise
    except OSError as error:
        if error.errno in RESOURCE_ERRORS:  # the disk is full; the archive may be sound
            raise
        raise _broken(archive) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise _broken(archive) from None
    return target


def delivered_bytes(delivery: Path) -> int:
    """Return how many bytes the files of a delivery take, of an archive unpacked as it says.

    A folder within it is no part of a delivery.
    """
    if delivery.is_dir():
        return sum(path.stat().st_size for path in delivery.iterdir() if path.is_file())
    if not delivery.is_file():  # to open a pipe would wait for whoever writes to it
        return 0
    try:
        with zipfile.ZipFile(delivery) as packed:
            return sum(member.file_size for member in packed.infolist())
    except (zipfile.BadZipFile, OSError):
        return 0  # landing says what is wrong


def _broken(archive: Path) -> DeliveryError:
    return DeliveryError(
        f"{archive.name}: the archive is broken, cut short or encrypted; deliver it again"
    )


def _refuse_unsafe(archive: Path, member: zipfile.ZipInfo, names: Collection[str]) -> None:
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if member.filename not in names or is_link or member.orig_filename != member.filename:
        raise UnsafeArchiveError(
            f"{archive.name}: holds something that is not a file of the contract; "
            "pack the delivery's files alone, without folders or links"
        )


def _copy(packed: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    with packed.open(member) as source, target.open("xb") as copy:
        while block := source.read(BLOCK_BYTES):
            left -= len(block)
            if left < 0:
                raise UnsafeArchiveError(
                    f"{packed.filename and Path(packed.filename).name}: unpacks to more than "
                    f"{MOST_FOLD} times its size; deliver the files themselves"
                )
            copy.write(block)
    return left
