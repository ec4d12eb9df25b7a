"""The folder of CSV files: written beside its place, then swapped in whole."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from synthetic.contract import Contract
from synthetic.records import COLUMNS, Row


def check_columns(contract: Contract) -> None:
    """Refuse to write rows that no longer match the contract."""
    for table in sorted(contract.columns.keys() | COLUMNS.keys()):
        ours, theirs = COLUMNS.get(table), contract.columns.get(table)
        if ours != theirs:
            raise RuntimeError(
                f"the extract contract and synthetic/records.py disagree on {table}: the contract"
                f" has {theirs}, the generator writes {ours}; bring records.py up to date"
            )


def check_replaceable(folder: Path, tables: Iterable[str]) -> None:
    """Raise ValueError unless the folder is absent or holds nothing but a delivery's files."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"{folder}: is not a folder; name a folder to write")
    if not folder.exists():
        return
    ours = {f"{table}.csv" for table in tables}
    foreign = sorted(
        entry.name for entry in folder.iterdir() if entry.name not in ours or not entry.is_file()
    )
    if foreign:
        raise ValueError(
            f"{folder}: holds {foreign[0]}"
            + (f" and {len(foreign) - 1} more" if len(foreign) > 1 else "")
            + ", which is no file of a delivery and would be lost; empty it or name another folder"
        )


class DeliveryFiles:
    """Open CSV files of one delivery: UTF-8, comma, header, LF."""

    def __init__(self, folder: Path) -> None:
        """Open one file a table in `folder`, with its header."""
        self.row_counts = dict.fromkeys(COLUMNS, 0)
        self._files: dict[str, TextIO] = {}
        self._writers = {}
        for table, columns in COLUMNS.items():
            file = (folder / f"{table}.csv").open("w", encoding="utf-8", newline="")
            self._files[table] = file
            self._writers[table] = csv.writer(file, lineterminator="\n")
            self._writers[table].writerow(columns)

    def write(self, tables: dict[str, list[Row]]) -> None:
        """Append rows and empty the lists."""
        for table, rows in tables.items():
            self._writers[table].writerows(rows)
            self.row_counts[table] += len(rows)
            rows.clear()

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A temporary sibling of `folder` that takes its place when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        new.chmod(0o755)
        yield new
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent))
            folder.replace(old / folder.name)
            new.replace(folder)
            shutil.rmtree(old)
        else:
            new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.new-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
