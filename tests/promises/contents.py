"""What files say when nothing is compressed: written apart from the search that it judges."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa


def holding(folder: Path, wanted: Collection[str]) -> dict[str, set[str]]:
    """The files below that hold one of these words, and which."""
    found = {
        str(path): {word for text in contents(path) for word in wanted if _is_in(word, text)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    return {path: held for path, held in found.items() if held}


def _is_in(word: str, text: bytes) -> bool:
    sought = word.encode()
    if sought not in text:
        return False
    # Digits alone may also stand within a longer number.
    return not word.isdigit() or bool(re.search(rb"(?<![0-9.])" + sought + rb"(?![0-9])", text))


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and those of what it packs."""
    yield path.read_bytes()
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield stream.read()
    elif path.suffix in (".xlsx", ".docx"):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield packed.read(name)
    elif path.suffix == ".parquet":
        with duckdb.connect() as connection:
            yield _as_csv(connection, f"read_parquet('{path}')")
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for (table,) in connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables()"
            ).fetchall():
                yield _as_csv(connection, table)


def _as_csv(connection: duckdb.DuckDBPyConnection, table: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".csv") as exported:
        connection.execute(f"copy (from {table}) to '{exported.name}' (format csv)")
        return Path(exported.name).read_bytes()
