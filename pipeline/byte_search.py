"""Searches the files of a folder for texts: their bytes, and what compressed ones hold."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.reader import ENCODINGS, quoted

LETTERS = "[0-9A-Za-z]"
ZIPPED = (".docx", ".xlsx", ".zip")


def files_with(folders: Iterable[Path], texts: Collection[str]) -> tuple[int, list[Path]]:
    """Return how many files were searched, and those that hold one of the texts or are unreadable.

    A text is found as a word of its own, in every encoding that a delivery may have. Archives are
    unpacked; every column of every table of a DuckDB or Parquet file is read as text, since both
    compress what they hold.
    """
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    whole = [path for path in files if not path.is_symlink()]
    return len(whole), [path for path in whole if _holds(path, texts) is not False]


def texts_in(folders: Iterable[Path], texts: Collection[str]) -> set[str]:
    """Return which of the texts stand in a file of the folders, found as `files_with` does."""
    found: set[str] = set()
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        left = set(texts) - found
        if path.is_file() and not path.is_symlink() and left and _holds(path, left):
            found |= {text for text in left if _holds(path, {text})}
    return found


def _holds(path: Path, texts: Collection[str]) -> bool | None:
    """Whether a file holds one of the texts; None if it cannot be read."""
    try:
        return _is_within(path, texts)
    except (OSError, duckdb.Error, pa.ArrowException, zipfile.BadZipFile):
        return None


def _is_within(path: Path, texts: Collection[str]) -> bool:
    wanted = _pattern(texts)
    if any(wanted.search(content) for content in _contents(path)):
        return True
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            return _is_in(connection, f"read_parquet('{quoted(path)}')", texts)
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute(
                'select format(\'"{}"."{}"\', schema_name, table_name) from duckdb_tables()'
            ).fetchall()
            return any(_is_in(connection, table, texts) for (table,) in tables)
    return False


def _pattern(texts: Collection[str]) -> re.Pattern[bytes]:
    words = rb"(?<!%b)(?:%b)(?!%b)" % (
        LETTERS.encode(),
        b"|".join(re.escape(text.encode()) for text in texts),
        LETTERS.encode(),
    )
    others = {
        text.encode(encoding)
        for text in texts
        for encoding in (*ENCODINGS, "utf-16-le", "utf-16-be")
        if text.encode(encoding) != text.encode()
    }
    return re.compile(b"|".join([words, *map(re.escape, others)]))


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield stream.read()
    if path.suffix in ZIPPED:
        with zipfile.ZipFile(path) as packed:
            yield from (packed.read(name) for name in packed.namelist())


def _is_in(connection: duckdb.DuckDBPyConnection, table: str, texts: Collection[str]) -> bool:
    words = "|".join(map(re.escape, texts))
    found = connection.execute(
        f"select exists (from {table} as held where regexp_matches(held::varchar, ?))",
        [f"(^|[^0-9A-Za-z])({words})($|[^0-9A-Za-z])"],
    ).fetchone()
    return found == (True,)
